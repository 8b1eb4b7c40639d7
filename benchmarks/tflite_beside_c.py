"""The same networks as LiteRT files and as C: bytes, RAM and accuracy on the test part.

    KERAS_BACKEND=torch python benchmarks/tflite_beside_c.py runs/lab-mnist/conv-pool ...

in an environment that has TensorFlow (``scripts/setup-backend tensorflow``). LiteRT's flash is that
of the file alone: its interpreter for microcontrollers takes some 30 to 100 kB more, by what
operators are linked. Its RAM is what the values between the layers take at the time when they take
most, without the interpreter's own. Prints a table in Markdown.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from chiffres.data import load_dataset
from chiffres.evaluation.predict import predict
from chiffres.export.c import reference, sizes
from chiffres.export.c.folder import as_network
from chiffres.export.keras_files import model_name
from chiffres.export.tflite_file import ask_tflite, export_tflite
from chiffres.models.files import load_model
from chiffres.report.tables import Table


def main() -> None:
    """Measure the models named on the command line."""
    test = (dataset := load_dataset("mnist")).test
    rows = []
    for model in map(Path, sys.argv[1:]):
        loaded = load_model(model)
        network = as_network(loaded, dataset)
        found = sizes.sizes(network)
        ours = reference.classify(network, test.images).digits
        with tempfile.TemporaryDirectory() as folder:
            file = export_tflite(model, Path(folder) / "model.tflite", data="mnist")
            size, answers = file.stat().st_size, ask_tflite(file, test.images)
        floats = predict(loaded, test.images).argmax(axis=1)
        accuracies = [
            f"{(np.asarray(digits) == test.labels).mean():.2%}"
            for digits in (floats, ours, answers["digits"])
        ]
        bytes_ = (found.flash, size, found.ram, answers["live_bytes"])
        rows.append([model_name(model), *accuracies, *(f"{each:,}" for each in bytes_)])
    headings = ["model", "float", "C", "LiteRT", "C flash", "LiteRT file", "C RAM", "LiteRT RAM"]
    print(Table(headings, rows).markdown())


if __name__ == "__main__":
    main()
