"""What each part of the reader earns: trained without it, judged on digits it has not seen.

    python benchmarks/ablation.py [--epochs 14] [NAME...]

Every variant trains on 40,000 of MNIST's 60,000 training digits, chosen by seed, and reads the
other 20,000; the test part is not touched. It takes about six minutes each on two cores. Two that
differ by fewer than some fifteen errors cannot be told apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chiffres.data import Dataset, load_dataset
from chiffres.evaluation.predict import predict
from chiffres.models import reader
from chiffres.models.files import load_model
from chiffres.training import augment
from chiffres.training.recipe import load_recipe
from chiffres.training.train import train

TRAINED_ON = 40_000
AUGMENTATION = augment.AUGMENTATIONS["reader"]


class Variant(NamedTuple):
    """One way to train a reader: what differs from how it is trained."""

    recipe: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    augmentation: augment.Augmentation | None = AUGMENTATION
    model: Callable[[], Any] = reader.reader


def with_effects(times: float, **changes: Any) -> augment.Augmentation:
    """Return the reader's augmentation with every effect so many times as frequent."""
    effects = {name: times * share for name, share in AUGMENTATION.effects.items()}
    return dataclasses.replace(AUGMENTATION, effects=effects, **changes)


VARIANTS = {
    "as it is": Variant(),
    "32 filters in place of 40": Variant(model=functools.partial(reader.build, 32)),
    "effects twice as frequent": Variant(augmentation=with_effects(2)),
    "no effects": Variant(augmentation=with_effects(0, wild=0.0)),
    "no augmentation": Variant(augmentation=None),
    "nothing to refuse": Variant({"negatives": 0.0}),
    "label smoothing 0.1": Variant({"label_smoothing": 0.1}),
    "weight decay 0.2": Variant({"weight_decay": 0.2}),
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


def measure(variant: Variant, epochs: int, dataset: Dataset) -> tuple[int, float, float]:
    """Return errors, loss and minutes of training."""
    augment.AUGMENTATIONS["reader"] = variant.augmentation or augment.Augmentation()
    reader.MODELS["reader"] = variant.model
    changes = {"epochs": epochs, "data": "mnist", **variant.recipe}
    recipe = load_recipe("reader").model_copy(update=changes)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = train(recipe, Path(folder) / "run", dataset=dataset)
        minutes = (time.perf_counter() - started) / 60
        probabilities = predict(load_model(run.folder), dataset.validation.images)
    labels = dataset.validation.labels
    right = probabilities[np.arange(len(labels)), labels]
    errors = int((probabilities.argmax(axis=1) != labels).sum())
    return errors, float(-np.log(np.maximum(right, 1e-7)).mean()), minutes


def main() -> None:
    """Print a row for each variant, as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of variants (default: all)")
    parser.add_argument("--epochs", type=int, default=14)
    arguments = parser.parse_args()
    dataset = split()
    print(f"| {arguments.epochs} epochs | errors of {len(dataset.validation_indices):,} | loss |")
    print("|---|---:|---:|")
    for name in arguments.names or VARIANTS:
        errors, loss, minutes = measure(VARIANTS[name], arguments.epochs, dataset)
        print(f"| {name} ({minutes:.0f} min) | {errors} | {loss:.4f} |", flush=True)


if __name__ == "__main__":
    main()
