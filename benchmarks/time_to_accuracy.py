"""How long a training takes to read 99 % of MNIST's test digits: swift beside two classics.

``python benchmarks/time_to_accuracy.py [--seeds 10] [--goal 0.99]``. The classics are PyTorch's
official MNIST example (pytorch/examples, ``mnist/main.py``) and the MNIST convnet of Keras's
documentation (``simple_mnist_convnet``), with their own layers, optimizer, rate and batch size.
They are asked after every epoch, until they first reach the goal; swift is asked once, when its
recipe ends, for each seed. What is counted is the time of training alone, in seconds.

Printed: one line an epoch or a seed, then one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chiffres.data import Dataset, Digits, load_dataset
from chiffres.evaluation.metrics import evaluate
from chiffres.models.backend import keras
from chiffres.training.recipe import load_recipe
from chiffres.training.train import train

MEAN, DEVIATION = 0.1307, 0.3081
"""Of MNIST's pixels, as PyTorch's example has them."""
MOST_EPOCHS = 15

Epoch = tuple[float, float]
"""Seconds of training, and the share of the test digits read right after it, 0 to 1."""


def pytorch_example(dataset: Dataset) -> Iterator[Epoch]:
    """Train as PyTorch's example does: Adadelta from 1.0, times 0.7 an epoch, 64 digits a step."""
    torch.manual_seed(1)
    nn = torch.nn
    net = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
        *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    )
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    x, y = _tensors(dataset.development)
    test_x, test_y = _tensors(dataset.test)
    while True:
        started = time.perf_counter()
        net.train()
        for rows in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        seconds = time.perf_counter() - started
        net.eval()
        with torch.no_grad():
            right = sum(
                int((net(test_x[rows]).argmax(1) == test_y[rows]).sum())
                for rows in torch.arange(len(test_x)).split(1000)
            )
        yield seconds, right / len(test_x)


def keras_convnet(dataset: Dataset) -> Iterator[Epoch]:
    """Train as Keras's documentation does: Adam, 128 digits a step, a tenth held back."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    x, y = _arrays(dataset.development)
    test_x, test_y = _arrays(dataset.test)
    kept = len(x) - len(x) // 10
    while True:
        started = time.perf_counter()
        model.fit(x[:kept], y[:kept], batch_size=128, epochs=1, verbose=0)
        seconds = time.perf_counter() - started
        yield seconds, model.evaluate(test_x, test_y, verbose=0)[1]


def until(goal: float, name: str, epochs: Iterator[Epoch]) -> dict[str, Any]:
    """Train until the goal, or for 15 epochs; return what it took."""
    seconds, accuracy, number = 0.0, 0.0, 0
    while accuracy < goal and number < MOST_EPOCHS:
        took, accuracy = next(epochs)
        seconds, number = seconds + took, number + 1
        print(f"{name}: epoch {number}, {seconds:.1f} s, {accuracy:.2%}", flush=True)
    return {"seconds": seconds, "epochs": number, "accuracy": accuracy}


def chiffres_recipe(name: str, dataset: Dataset, seeds: int, goal: float) -> dict[str, Any]:
    """Train a recipe to its end with each seed; return what that took and gave."""
    seconds, accuracies = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(9000, 9000 + seeds):
            recipe = load_recipe(name, ['data="mnist"', f"seed={seed}"])
            run = train(recipe, Path(folder) / f"{seed}", dataset=dataset)
            seconds.append(run.metrics()["training_seconds"])
            accuracies.append(evaluate(run.folder, dataset).accuracy)
            print(f"{name}: seed {seed}, {seconds[-1]:.2f} s, {accuracies[-1]:.2%}", flush=True)
    return {
        "seconds": float(np.mean(seconds)),
        "slowest": max(seconds),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_sd": float(np.std(accuracies, ddof=1)) if seeds > 1 else None,
        "share_at_goal": float(np.mean([accuracy >= goal for accuracy in accuracies])),
        "seeds": seeds,
        "accuracies": accuracies,
    }


def _tensors(digits: Digits) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(digits.images).to(torch.float32)[:, None] / 255
    return (images - MEAN) / DEVIATION, torch.from_numpy(digits.labels.astype(np.int64))


def _arrays(digits: Digits) -> tuple[Any, Any]:
    images = digits.images[..., None].astype(np.float32) / 255
    return images, keras.utils.to_categorical(digits.labels, 10)


CLASSICS: dict[str, Callable[[Dataset], Iterator[Epoch]]] = {
    "PyTorch's MNIST example": pytorch_example,
    "Keras's MNIST convnet": keras_convnet,
}


def main() -> None:
    """Measure all, one after the other, in one process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="of each recipe (default: 10)")
    parser.add_argument("--goal", type=float, default=0.99, help="accuracy, 0 to 1 (default: 0.99)")
    parser.add_argument("--recipes", default="swift", help="names, separated by commas")
    parser.add_argument("--recipes-only", action="store_true", help="without the two classics")
    options = parser.parse_args()
    dataset = load_dataset("mnist")
    found = {
        name: chiffres_recipe(name, dataset, options.seeds, options.goal)
        for name in options.recipes.split(",")
    }
    if not options.recipes_only:
        found |= {
            name: until(options.goal, name, epochs(dataset)) for name, epochs in CLASSICS.items()
        }
    print(json.dumps({"goal": options.goal, "cores": os.cpu_count(), **found}, indent=2))


if __name__ == "__main__":
    main()
