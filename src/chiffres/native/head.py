"""The last dense layers of a classifier with its loss: one C kernel, for the gradients as well.

It begins with the first of the dense layers that follow one another to the end, with ReLU, dropout
or nothing between them. What comes before is lowered as ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from chiffres.models.backend import keras
from chiffres.native import kernels
from chiffres.native.fused import mostly_zeros
from chiffres.native.layers import Operation, Product, draw
from chiffres.native.lowering import flatten, lower_all
from chiffres.native.team import Team


class Found(NamedTuple):
    """What the head makes of a batch: the last gradients of the model, the first ones apart."""

    loss: float
    right: int
    logits: torch.Tensor
    of_product: torch.Tensor | None
    gradients: list[torch.Tensor]


class Head:
    """Goes from what enters the last dense layers, and labels, to the loss and its gradients.

    Args:
        layers: the dense layers with the dropouts between them.
        of_inputs: whether the model's own inputs enter; else the first layer's product does.
        team: the workers that learn from each batch together.
    """

    def __init__(self, layers: Sequence[Any], of_inputs: bool, team: Team) -> None:
        self.team = team
        self.dense = [layer for layer in layers if type(layer) is keras.layers.Dense]
        self.dropouts = [_dropout_behind(layer, layers) for layer in self.dense[:-1]]
        self.of_inputs = of_inputs
        self.multiplies_zeros: bool | None = None
        self.run = kernels.DenseLoss(
            [layer.kernel.value for layer in self.dense], [_bias(layer) for layer in self.dense]
        )

    def __call__(self, x: torch.Tensor, labels: torch.Tensor) -> Found:
        """Return what the head makes of ``x`` ``(n, …)`` float32 and ``labels`` ``(n,)`` int64.

        The gradients are what these rows add to those of the whole batch's loss.

        Raises:
            IndexError: a label is none of the classes.
        """
        whole = self.team.whole
        drops = [draw(each, self.team) if each else kernels.KEEP_ALL for each in self.dropouts]
        if not self.of_inputs:
            loss, right, logits = self.run(x, labels, drops, True, whole)
            return Found(loss, right, logits, self.run.of_values[0], self._gradients()[1:])
        if self.multiplies_zeros is None:  # the digits of one training are alike
            self.multiplies_zeros = not mostly_zeros(x)
        if not self.multiplies_zeros:
            return Found(*self.run(x, labels, drops, False, whole), None, self._gradients())
        product = x @ self.dense[0].kernel.value.detach()
        loss, right, logits = self.run(product, labels, drops, True, whole)
        gradients = [x.t() @ self.run.of_values[0], *self._gradients()[1:]]
        return Found(loss, right, logits, None, gradients)

    def _gradients(self) -> list[torch.Tensor]:
        """Return the gradients of all kernels and biases, in the order of Keras's variables."""
        found = zip(self.dense, self.run.of_kernels, self.run.of_biases, strict=True)
        return [
            gradient
            for layer, of_kernel, of_bias in found
            for gradient in ([of_kernel] if layer.bias is None else [of_kernel, of_bias])
        ]


def with_head(model: keras.Sequential, team: Team) -> tuple[list[Operation], Head] | None:
    """Return the operations up to the head, and the head; None where there is no kernel for it.

    Args:
        model: it ends in a softmax, and its loss is the sparse categorical cross-entropy.
        team: the workers that learn from each batch together.
    """
    layers = list(flatten(model))
    start = _start_of_head(layers)
    if kernels.LIBRARY is None or start is None:
        return None
    if not all(layer.trainable for layer in layers[start:]):
        return None
    lower_all(layers[start:], team)  # raises where an option has no operation
    before, first = layers[:start], layers[start]
    if not any(layer.weights for layer in before):
        return lower_all(before, team), Head(layers[start:], True, team)
    operations = lower_all([*before, Product(first)], team)
    return operations, Head(layers[start:], False, team)


def _start_of_head(layers: Sequence[Any]) -> int | None:
    """Return where the last dense layers begin; None where the last layer is no such layer."""
    last = len(layers) - 1
    if not _is_dense(layers[last], keras.activations.softmax):
        return None
    start = last
    while start > 0:
        before = start - 1 - (start > 1 and type(layers[start - 1]) is keras.layers.Dropout)
        if not _is_dense(layers[before], keras.activations.relu):
            break
        start = before
    return start if start < last else None


def _is_dense(layer: Any, activation: Any) -> bool:
    return (
        type(layer) is keras.layers.Dense and inspect.unwrap(layer.activation) is activation
    ) and len(layer.input.shape) == 2


def _bias(layer: Any) -> torch.Tensor:
    return torch.zeros(layer.units) if layer.bias is None else layer.bias.value


def _dropout_behind(layer: Any, layers: Sequence[Any]) -> Any:
    following = layers[layers.index(layer) + 1]
    return following if type(following) is keras.layers.Dropout else None
