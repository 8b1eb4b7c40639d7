"""A model as a flat list of Torch operations: by one C kernel where several layers have one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from chiffres.models.backend import keras
from chiffres.native.fused import first_layers, normalized_layers, small_convolution
from chiffres.native.layers import Operation, is_dropout, lower_layer
from chiffres.native.team import Team


def lower(model: keras.Sequential, training: bool, team: Team | None = None) -> list[Operation]:
    """Return what ``model`` does to its inputs, one operation after the other.

    Args:
        model: built; its variables are used as they are, in place.
        training: whether dropout drops and batch normalization measures the batch.
        team: the workers that do so together; None: this one alone.

    Raises:
        NotLowered: a layer, or one of its options, has no such operation.
    """
    return lower_all(flatten(model), (team or Team()) if training else None)


def lower_all(layers: Iterable[Any], team: Team | None) -> list[Operation]:
    """Return what ``layers``, the first ones of a model, do one after the other; see ``lower``.

    Args:
        layers: layers without a model among them.
        team: the workers that train; None: nothing is trained.
    """
    layers = [layer for layer in layers if team or not is_dropout(layer)]
    operations: list[Operation] = []
    inputs_only = True  # no weight before this layer, so nothing needs its input's gradient
    while layers:
        fused, used = first_layers(layers, team) if inputs_only else normalized_layers(layers, team)
        if not used:
            fused, used = small_convolution(layers[0], team) or lower_layer(layers[0], team), 1
        inputs_only = inputs_only and not any(layer.weights for layer in layers[:used])
        operations += fused
        del layers[:used]
    return operations


def flatten(model: keras.Sequential) -> Iterator[Any]:
    """Yield the layers of ``model`` and of the models inside it, in order.

    A dropout that drops nothing is left out; Keras gives it no generator to draw from.
    """
    for layer in model.layers:
        if type(layer) is keras.Sequential:
            yield from flatten(layer)
        elif is_dropout(layer) and not layer.rate:
            continue
        elif type(layer) is not keras.layers.InputLayer:
            yield layer
