"""Weights of a few bits, trained with their rounding in the loop.

Each step computes with weights that are small integers times a unit of their filter's, and what it
learns moves weights of full precision, kept aside, from which the next ones are rounded. So the
network that is validated, and saved in the end, is the one that a microcontroller computes.

Source: Y. Bengio, N. Léonard and A. Courville, Estimating or Propagating Gradients Through
Stochastic Neurons for Conditional Computation, 2013, arXiv:1308.3432: the straight-through
estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from chiffres.errors import UsageError
from chiffres.models.backend import BACKEND, keras

CUT = 0.9
"""How far a filter's range reaches, as a share of its largest weight: what is beyond is cut off."""


def check_bits(model: keras.Model, bits: Sequence[int]) -> None:
    """Raise UsageError where ``bits`` are not one number for each layer with a kernel."""
    kernels = kernels_of(model)
    if len(bits) != len(kernels):
        raise UsageError(
            f"bits = {list(bits)}: {len(bits)} numbers for the {len(kernels)} layers of "
            f"{model.name!r} that have weights; give one for each"
        )
    if BACKEND != "torch":
        raise UsageError(f"bits: weights of few bits are trained on torch alone, not on {BACKEND}")


def kernels_of(model: keras.Model) -> list[Any]:
    """Return the variables that are rounded, in order."""
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


def rounded(kernel: torch.Tensor, bits: int, together: bool = False) -> torch.Tensor:
    """Return the nearest weights of so many bits.

    Args:
        kernel: ``(…, filters)`` float32.
        bits: of a weight, 2 to 8: integers up to 2^(bits - 1) - 1, of either sign, times a unit.
        together: whether all filters have the same unit, as scores need it.
    """
    limit = 2 ** (bits - 1) - 1
    axes = list(range(kernel.ndim if together else kernel.ndim - 1))
    largest = kernel.abs().amax(axes, keepdim=True).clamp(min=1e-8)
    unit = CUT * largest / (limit + 0.5)
    nearest: torch.Tensor = torch.clamp(torch.round(kernel / unit), -limit, limit) * unit
    return nearest


class FewBits(keras.callbacks.Callback):  # type: ignore[misc]
    """Rounds the weights before each step, and lets the step move the full ones.

    After each epoch but the last the model has its full weights again, so that what is saved then
    can be trained on; to be put before the callback that saves.
    """

    def __init__(self, bits: Sequence[int], epochs: int) -> None:
        super().__init__()
        self.bits = list(bits)
        self.epochs = epochs
        self.kernels: list[torch.Tensor] = []
        self.full: list[torch.Tensor] = []
        self.shown: list[torch.Tensor] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the weights aside, and show the rounded ones."""
        self.kernels = [kernel.value for kernel in kernels_of(self.model)]
        with torch.no_grad():
            self.full = [kernel.detach().clone() for kernel in self.kernels]
            self._show()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the full weights by what the step did to the rounded ones."""
        with torch.no_grad():
            for full, kernel, shown in zip(self.full, self.kernels, self.shown, strict=True):
                full += kernel - shown
            self._show()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Bring the full weights back, where there is a next epoch."""
        if epoch + 1 < self.epochs:
            with torch.no_grad():
                for kernel, full in zip(self.kernels, self.full, strict=True):
                    kernel.copy_(full)

    def _show(self) -> None:
        last = len(self.bits) - 1
        self.shown = [
            rounded(full, bits, together=place == last)
            for place, (full, bits) in enumerate(zip(self.full, self.bits, strict=True))
        ]
        for kernel, shown in zip(self.kernels, self.shown, strict=True):
            kernel.copy_(shown)
