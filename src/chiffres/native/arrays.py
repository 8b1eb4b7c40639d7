"""Arrays in memory as one tensor each, from which batches are gathered by index."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from chiffres.models.backend import keras

_adapters: Any = keras.src.trainers.data_adapters
_Adapter: Any = _adapters.data_adapter.DataAdapter


class TensorBatches(_Adapter):  # type: ignore[misc]
    """What ``fit`` takes in place of arrays: batches ``(x[i], y[i])`` of their own dtypes.

    Args:
        x: ``(n, …)`` array or tensor of numbers, used without a copy.
        y: ``(n, …)`` likewise.
        batch_size: rows per batch; the last one may have fewer.
        shuffle: whether each pass draws a new order from Torch's generator.
        change: what each batch of ``x`` goes through, with all chance from a generator.
        rows: how many a pass takes, the first ones of its order; None: all.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        batch_size: int,
        shuffle: bool = False,
        change: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
        rows: int | None = None,
    ) -> None:
        self.x, self.y = _tensor(x), _tensor(y)
        self.rows_per_batch = batch_size
        self.rows = len(self.x) if rows is None else rows
        self.draws = shuffle
        self.order: torch.Tensor | None = None
        self.change = change
        self.generator = torch.Generator()

    def __len__(self) -> int:
        return math.ceil(self.rows / self.rows_per_batch)

    def shuffle(self, rng: np.random.Generator) -> None:
        """Draw the order of all passes to come, and what changes the next one."""
        self.order = torch.from_numpy(rng.permutation(len(self.x)))
        if self.change:
            self.generator.manual_seed(int(rng.integers(2**63)))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for x, y in self._gathered():
            yield (self.change(x, self.generator) if self.change else x), y

    def _gathered(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(self.x)) if self.draws else self.order
        if order is None:
            size = self.rows_per_batch
            some = self.x[: self.rows], self.y[: self.rows]
            yield from zip(*(torch.split(each, size) for each in some), strict=True)
            return
        for rows in torch.split(order[: self.rows], self.rows_per_batch):
            yield self.x.index_select(0, rows), self.y.index_select(0, rows)

    def get_torch_dataloader(self) -> TensorBatches:
        """Return what ``fit`` iterates over."""
        return self

    @property
    def num_batches(self) -> int:
        """Batches per pass."""
        return len(self)

    @property
    def batch_size(self) -> int:
        """Rows of every batch but the last."""
        return self.rows_per_batch

    @property
    def has_partial_batch(self) -> bool:
        """Whether the last batch has fewer rows."""
        return self.partial_batch_size is not None

    @property
    def partial_batch_size(self) -> int | None:
        """Rows of the last batch, None where it is a whole one."""
        return self.rows % self.rows_per_batch or None


def from_memory(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return ``fit``'s arguments with arrays that lie in memory as ``TensorBatches``.

    All else is left to Keras: generators, datasets, weights of classes or samples, and whatever
    it would refuse.
    """
    x, y = arguments["x"], arguments["y"]
    special = ("class_weight", "sample_weight", "steps_per_epoch", "validation_steps")
    if (
        not _are_arrays(x, y)
        or any(arguments[name] is not None for name in special)
        or arguments["shuffle"] not in (True, False)
    ):
        return arguments
    validation = arguments["validation_data"]
    if validation is None and arguments["validation_split"]:
        if torch.is_tensor(x) or torch.is_tensor(y):
            return arguments
        (x, y, _), validation = _adapters.array_slicing.train_validation_split(
            (x, y, None), validation_split=arguments["validation_split"]
        )
        validation = validation[:2]
    batch_size = arguments["batch_size"] or 32  # Keras's default
    if isinstance(validation, tuple) and len(validation) == 2 and _are_arrays(*validation):
        validation_size = arguments["validation_batch_size"] or batch_size
        validation = TensorBatches(*validation, validation_size)
    batches = TensorBatches(x, y, batch_size, shuffle=arguments["shuffle"])
    return arguments | {
        "x": batches,
        "y": None,
        "validation_data": validation,
        "validation_split": 0.0,
        "shuffle": False,
    }


def _are_arrays(x: Any, y: Any) -> bool:
    """Whether both are arrays of numbers with as many rows, at least one."""
    return (
        all(isinstance(each, np.ndarray | torch.Tensor) and each.ndim > 0 for each in (x, y))
        and all(torch.is_tensor(each) or each.dtype.kind in "biuf" for each in (x, y))
        and len(x) == len(y) > 0
    )


def _tensor(array: Any) -> torch.Tensor:
    if torch.is_tensor(array):
        return array.detach()
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))
