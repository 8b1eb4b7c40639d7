"""What each step of chiffres.native gains: seconds of an epoch, one step more in every line.

``python benchmarks/native_steps.py dense conv-pool``. Each line is a process of its own that
trains two epochs on MNIST; the second one counts. Start: Keras on Torch, as `keras` alone does it.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from typing import Any

STEPS = (
    "Keras's own fit on Torch",
    "numbers too small to matter become 0",
    "the loss from logits",
    "layers lowered to Torch operations",
    "freed memory is kept",
    "batches gathered by index",
    "fused optimizer",
    "C kernels: convolution and pooling, dropout",
    "C kernel: the first dense layer as well, without what is 0",
    "C kernel: the last dense layers and the loss",
)


def build(name: str, steps: int) -> Any:
    """Return the model with the first ``steps`` of ``STEPS`` in use."""
    import torch

    from chiffres.models import build_model
    from chiffres.models.backend import keras
    from chiffres.training.loss import train_on_logits

    keras.utils.set_random_seed(1)
    torch.set_flush_denormal(steps >= 2)
    model = build_model(name)
    adam = keras.optimizers.Adam(1e-4)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=adam, metrics=["accuracy"])
    if steps == 3:
        train_on_logits(model)
    if steps >= 4:
        accelerate(model, steps)
    return model


def accelerate(model: Any, steps: int) -> None:
    """Let ``model`` train natively, but for the later steps."""
    from chiffres import native
    from chiffres.native import arrays, fused, kernels, memory, step

    if steps < 5:
        memory.keep_freed_memory = lambda: None
    if steps < 6:
        arrays.from_memory = lambda arguments: dict(arguments)
    if steps < 7:
        step.updater = lambda optimizer, variables: functools.partial(
            optimizer.apply, trainable_variables=variables
        )
    if steps < 8:
        kernels.LIBRARY = None
    if steps < 9:
        kernels.takes = lambda filters, units: False
        fused.MOST_NONZERO = -1
    if steps < 10:
        step.with_head = lambda model: None
    native.accelerate(model)


def epoch_seconds(name: str, steps: int) -> float:
    """Train two epochs; return the seconds of the second."""
    from chiffres.data import load_dataset
    from chiffres.models import as_input

    train = load_dataset("mnist").train
    model = build(name, steps)
    x, y = as_input(train.images, model), train.labels.astype("int64")
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        model.fit(x, y, batch_size=128, verbose=0)
        seconds = time.perf_counter() - start
    return seconds


def main() -> None:
    """Measure one model and number of steps, or all steps of each model that is named."""
    if len(sys.argv) == 3 and sys.argv[2].isdigit():
        print(epoch_seconds(sys.argv[1], int(sys.argv[2])))
        return
    for name in sys.argv[1:]:
        for steps, title in enumerate(STEPS, 1):
            command = [sys.executable, __file__, name, str(steps)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(f"{name:14s}{float(done.stdout.split()[-1]):7.2f} s  + {title}", flush=True)


if __name__ == "__main__":
    main()
