"""``--to c``: a folder of C that Arduino, ESP-IDF, Zephyr and any compiler take as it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from chiffres.data import Dataset, load_dataset
from chiffres.errors import UsageError
from chiffres.evaluation.predict import predict
from chiffres.export.c import generate, pack, reference, sizes
from chiffres.export.c.chain import as_chain
from chiffres.export.c.confidence import fit_confidence
from chiffres.export.c.network import Network
from chiffres.export.c.quantize import quantize
from chiffres.export.keras_files import default_name, model_name
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.storage import write_text
from chiffres.training.run import Run

CALIBRATION = 500
"""Images of the training part that tell how large the values between the layers become."""
EXAMPLES = 3
REJECT_BELOW = 900

PLACES = {
    "src/chiffres_model.h": "",
    "src/chiffres_model.c": "",
    "examples/chiffres_blink/digits.h": "digits.h",
    "examples/chiffres_blink/chiffres_blink.ino": "chiffres_blink.ino",
    "examples/desktop/main.c": "main.c",
    "Makefile": "Makefile",
    "README.md": "README.md",
    "library.properties": "library.properties",
    "CMakeLists.txt": "CMakeLists.txt",
    "idf_component.yml": "idf_component.yml",
    "zephyr/module.yml": "module.yml",
    "zephyr/CMakeLists.txt": "zephyr.cmake",
    "zephyr/Kconfig": "Kconfig",
}
"""Each file of the folder, and the template it is made from."""


def export_c(
    model: Path,
    out: Path | None = None,
    *,
    data: str | None = None,
    max_flash: int | None = None,
    max_ram: int | None = None,
) -> Path:
    """Write the model as a folder of C that computes with integers alone.

    Args:
        model: a run folder, a ``.keras`` or an ``.h5`` file.
        out: the folder; files of an earlier export in it are replaced.
        data: whose training part tells how to round, and whose validation part how sure an answer
            is; by default what the run was trained on, else ``auto``.
        max_flash: bytes of flash that constants and code may take.
        max_ram: bytes of RAM that buffers and stack may take.

    Raises:
        ModelFileError: the model does not go from one 28×28 image to ten outputs.
        UsageError: it is no Sequential, has a layer that cannot be exported, or does not fit.
    """
    loaded = load_model(model)
    run = Run(model)
    folder = out or Path(f"{default_name(model)}-c")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; choose another")
    dataset = load_dataset(data or (run.recipe().data if run.exists else "auto"))
    network = as_network(loaded, dataset)
    sizes.check(sizes.sizes(network), max_flash, max_ram)
    for place, text in files(network, model_name(model), dataset).items():
        write_text(folder / place, text)
    return folder


def as_network(model: keras.Model, dataset: Dataset) -> Network:
    """Return the network of integers that :func:`export_c` writes, with its confidence."""
    predict(model, np.zeros((1, 28, 28), np.uint8))  # raises where it takes or gives another shape
    network = quantize(as_chain(model), dataset.train.images[:CALIBRATION])
    validation = dataset.validation
    answers = reference.classify(network, validation.images)
    margins = reference.margins_of(answers.scores)
    confidence = fit_confidence(margins, answers.digits == validation.labels)
    return dataclasses.replace(network, confidence=confidence)


def files(network: Network, name: str, dataset: Dataset) -> dict[str, str]:
    """Return what :func:`export_c` writes: a text for each path inside the folder."""
    title = f"Chiffres, {name}"
    found = sizes.sizes(network)
    digits = dataset.validation.take(np.arange(EXAMPLES))
    texts = generate.model_files(network, title, f"{name}, trained on {dataset.name}")
    written = {f"src/{file}": text for file, text in texts.items()}
    for place, template in PLACES.items():
        if template:
            written[place] = generate.render(
                template,
                title=title,
                source=f"{name}, trained on {dataset.name}",
                sizes=found,
                reject=REJECT_BELOW,
                dataset=dataset.name,
                labels=digits.labels.tolist(),
                digits=[pack.as_text(image.ravel().tolist()) for image in digits.images],
            )
    return written
