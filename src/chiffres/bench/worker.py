"""One engine that trains one model, an epoch whenever it is told to; run in a process of its own.

``python worker.py ENGINE MODEL.json DIGITS.npz``. Runs in any environment that has the engine:
all but the engine ``chiffres`` needs no Chiffres. Says ``{"versions": …}`` when it is warm; then,
for each line on standard input, trains an epoch and says ``{"seconds", "step_seconds"}``, the
latter for the engine ``chiffres`` alone: the part of ``seconds`` inside the lowered step.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 128
RATE = 1e-4
WARM_UP = 20 * BATCH

Epoch = Callable[[int], float]
"""Trains on the first digits, as many as told; returns the seconds inside the lowered step."""


def keras_epoch(model: Any, adam: Any, images: Any, labels: Any) -> Epoch:
    """Train as Keras's documentation teaches."""
    images = images.reshape(-1, *model.input_shape[1:])
    model.compile(loss="sparse_categorical_crossentropy", optimizer=adam, metrics=["accuracy"])

    def epoch(count: int) -> float:
        model.fit(images[:count], labels[:count], batch_size=BATCH, epochs=1, verbose=0)
        return 0.0

    return epoch


def chiffres_epoch(config: str, images: Any, labels: Any) -> Epoch:
    """Train the same on Chiffres's native step."""
    from chiffres.models.backend import keras
    from chiffres.native import accelerate

    model = accelerate(keras.models.model_from_json(config))
    train = keras_epoch(model, keras.optimizers.Adam(RATE), images, labels)
    inside = 0.0
    make = model.make_train_function

    def make_timed(force: bool = False) -> None:
        make(force)
        step = model.train_function

        def timed(data: Any) -> Any:
            nonlocal inside
            start = time.perf_counter()
            logs = step(data)
            inside += time.perf_counter() - start
            return logs

        model.train_function = timed

    model.make_train_function = make_timed

    def epoch(count: int) -> float:
        nonlocal inside
        inside = 0.0
        train(count)
        return inside

    return epoch


def torch_epoch(config: str, images: Any, labels: Any) -> Epoch:
    """Train as Torch's documentation teaches, eagerly, in NCHW; batches are taken by index."""
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    shape: tuple[int, ...] = ()
    for layer in json.loads(config)["config"]["layers"]:
        kind, options = layer["class_name"], layer["config"]
        if kind == "InputLayer":
            height, *rest = options["batch_shape"][1:]
            shape = (rest[1], height, rest[0]) if rest else (height,)
            images = images.reshape(-1, *shape)
        elif kind == "Conv2D":
            layers += [nn.Conv2d(shape[0], options["filters"], options["kernel_size"])]
        elif kind == "MaxPooling2D":
            layers += [nn.MaxPool2d(options["pool_size"], options["strides"])]
        elif kind == "Dropout":
            layers += [nn.Dropout(options["rate"])]
        elif kind == "Flatten":
            layers += [nn.Flatten()]
        elif kind == "Dense":
            layers += [nn.Linear(shape[0], options["units"])]
        else:
            raise ValueError(f"no Torch layer for {kind}")
        if options.get("activation") == "relu":
            layers += [nn.ReLU()]
        shape = tuple(nn.Sequential(*layers)(torch.zeros(2, *images.shape[1:])).shape[1:])
    model = nn.Sequential(*layers)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    criterion = nn.CrossEntropyLoss()

    def epoch(count: int) -> float:
        model.train()
        right = 0
        for chosen in torch.split(torch.randperm(count), BATCH):
            optimizer.zero_grad()
            logits = model(x[chosen])
            loss = criterion(logits, y[chosen])
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == y[chosen]).sum())
        return 0.0

    return epoch


def main() -> None:
    """Serve one engine."""
    engine, config_path, data = sys.argv[1:]
    config = Path(config_path).read_text(encoding="utf-8")
    digits = np.load(data)
    labels = digits["labels"].astype(np.int64)
    if engine == "chiffres":  # takes the pixels as they are
        images = digits["images"]
        epoch = chiffres_epoch(config, images, labels)
    else:
        images = digits["images"].astype(np.float32)
    if engine == "torch":
        epoch = torch_epoch(config, images, labels)
    elif engine != "chiffres":
        import keras

        model = keras.models.model_from_json(config)
        epoch = keras_epoch(model, keras.optimizers.Adam(RATE), images, labels)
    epoch(min(WARM_UP, len(images)))
    names = ("keras", "torch", "tensorflow-cpu", "jax", "numpy")
    installed = {
        dist.name.lower().replace("_", "-"): dist.version for dist in metadata.distributions()
    }
    versions = {name: installed[name] for name in names if name in installed}
    print(json.dumps({"versions": versions}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        inside = epoch(len(images))
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "step_seconds": inside}), flush=True)


if __name__ == "__main__":
    main()
