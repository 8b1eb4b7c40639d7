"""What each part of the reader earns: trained without it, judged on digits it has not seen.

    python benchmarks/ablation.py [--epochs 14] [--keep FILE] [NAME...]

Every variant trains on 40,000 of MNIST's 60,000 training digits, chosen by seed, and reads the
other 20,000 as they are, with the reader's own augmentation, and written anew with other pens; the
test part is not touched. It takes some ten minutes each on a core. With ``--keep``, results are
added to that file, and what is there, by the same recipe, is not trained again. Two that differ by
fewer errors than twice the root of their number cannot be told apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from chiffres.data import Dataset, load_dataset
from chiffres.data.hand import rewritten
from chiffres.evaluation.predict import predict
from chiffres.models import reader
from chiffres.models.files import load_model
from chiffres.storage import write_text
from chiffres.training import augment
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.train import train

TRAINED_ON = 40_000
AUGMENTATION = augment.AUGMENTATIONS["reader"]


class Variant(NamedTuple):
    """One way to train a reader: what differs from how it is trained."""

    recipe: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    augmentation: augment.Augmentation | None = AUGMENTATION
    model: Callable[[], Any] = reader.reader


class Figures(NamedTuple):
    """What a variant came to: digits misread, of those that it was not trained on.

    Attributes:
        errors: as they are.
        loss: the mean cross-entropy, in nats, as they are.
        augmented: with the reader's own augmentation.
        anew: written anew with other pens.
        minutes: how long the training took.
        recipe: what was trained, as TOML.
    """

    errors: int
    loss: float
    augmented: int
    anew: int
    minutes: float
    recipe: str

    def row(self, name: str) -> str:
        """Return a row of the table."""
        return f"| {name} | {self.errors} | {self.loss:.4f} | {self.augmented} | {self.anew} |"


HEAD = """| | as they are | loss | augmented | written anew |
|---|---:|---:|---:|---:|"""


def with_effects(times: float, **changes: Any) -> augment.Augmentation:
    """Return the reader's augmentation with every effect so many times as frequent."""
    effects = {name: times * share for name, share in AUGMENTATION.effects.items()}
    return dataclasses.replace(AUGMENTATION, effects=effects, **changes)


VARIANTS = {
    "as it is": Variant(),
    "32 filters in place of 40": Variant(model=functools.partial(reader.build, 32)),
    "24 filters": Variant(model=functools.partial(reader.build, 24)),
    "effects twice as frequent": Variant(augmentation=with_effects(2)),
    "no effects": Variant(augmentation=with_effects(0, wild=0.0)),
    "no augmentation": Variant(augmentation=None),
    "nothing written anew": Variant({"rewritten": 0.0}),
    "no forms that MNIST lacks": Variant({"forms": 0.0}),
    "nothing to refuse": Variant({"negatives": 0.0, "touching": 0.0}),
    "label smoothing 0.1": Variant({"label_smoothing": 0.1}),
    "weight decay 0.2": Variant({"weight_decay": 0.2}),
    "SGD": Variant(
        {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    ),
    "constant learning rate": Variant({"schedule": "constant", "warmup": 0.0}),
    "float32": Variant({"precision": "float32"}),
}


def split() -> Dataset:
    """Return MNIST with a third of what is trained on kept to judge by."""
    dataset = load_dataset("mnist")
    digits = len(dataset.train_indices) + len(dataset.validation_indices)
    order = np.random.default_rng(7).permutation(digits)
    return dataclasses.replace(
        dataset,
        train_indices=np.sort(order[:TRAINED_ON]),
        validation_indices=np.sort(order[TRAINED_ON:]),
    )


def recipe_of(variant: Variant, epochs: int) -> Recipe:
    """Return what a variant is trained by."""
    changes = {"epochs": epochs, "data": "mnist", **variant.recipe}
    return load_recipe("reader").model_copy(update=changes)


def measure(variant: Variant, recipe: Recipe, dataset: Dataset) -> Figures:
    """Train a variant, and let it read the digits it has not seen."""
    augment.AUGMENTATIONS["reader"] = variant.augmentation or augment.Augmentation()
    reader.MODELS["reader"] = variant.model
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = train(recipe, Path(folder) / "run", dataset=dataset)
        minutes = (time.perf_counter() - started) / 60
        model = load_model(run.folder)
    digits = dataset.validation
    labels = digits.labels
    probabilities = predict(model, digits.images)
    right = probabilities[np.arange(len(labels)), labels]
    augmented = AUGMENTATION(torch.from_numpy(digits.images), torch.Generator().manual_seed(7))
    anew, anew_labels = rewritten(digits, len(digits), seed=7)
    return Figures(
        errors=errors(probabilities, labels),
        loss=float(-np.log(np.maximum(right, 1e-7)).mean()),
        augmented=errors(predict(model, augmented.round().numpy().astype(np.uint8)), labels),
        anew=errors(predict(model, anew), anew_labels),
        minutes=minutes,
        recipe=recipe.toml(),
    )


def errors(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.uint8]) -> int:
    """Return how many digits are misread."""
    return int((probabilities.argmax(axis=1) != labels).sum())


def main() -> None:
    """Print a row for each variant, as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of variants (default: all)")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    dataset = split()
    print(f"errors of {len(dataset.validation_indices):,}, {arguments.epochs} epochs\n\n{HEAD}")
    for name in arguments.names or VARIANTS:
        recipe = recipe_of(VARIANTS[name], arguments.epochs)
        figures = kept(arguments.keep).get(name)
        if figures is None or figures.recipe != recipe.toml():
            figures = measure(VARIANTS[name], recipe, dataset)
            if arguments.keep:
                keep(arguments.keep, name, figures)
        print(figures.row(name), flush=True)


def kept(file: Path | None) -> dict[str, Figures]:
    """Return what was measured before."""
    if not file or not file.is_file():
        return {}
    return {name: Figures(**each) for name, each in json.loads(file.read_text("utf-8")).items()}


def keep(file: Path, name: str, figures: Figures) -> None:
    """Add what was measured, to what another process may have added meanwhile."""
    known = {each: values._asdict() for each, values in (kept(file) | {name: figures}).items()}
    write_text(file, json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
