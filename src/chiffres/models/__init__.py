"""What can be trained: one file per family of models, found by name.

Every model takes grey levels from 0 to 255, so a model file is complete in itself: where inputs
are to be scaled, scaling is the model's own first layer.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from chiffres.errors import ModelFileError, UnknownNameError

if TYPE_CHECKING:
    from chiffres.models.backend import keras

Scale = Literal["raw", "unit"]


def models() -> dict[str, Callable[[], keras.Sequential]]:
    """Return what builds each model: the ``MODELS`` of all modules of this package, by name."""
    found: dict[str, Callable[[], Any]] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        found |= getattr(importlib.import_module(module.name), "MODELS", {})
    return found


def find_builder(name: str) -> Callable[[], keras.Sequential]:
    """Return what builds the model called ``name``; raise UnknownNameError where nothing does."""
    known = models()
    if name not in known:
        raise UnknownNameError("model", name, known)
    return known[name]


def build_model(name: str, scale: Scale = "raw") -> keras.Sequential:
    """Build the model called ``name``, its weights drawn from Keras's global seed.

    Args:
        name: ``dense``, ``conv``, ``conv-pool``, ``conv-dropout``, ``swift`` or ``reader``.
        scale: ``"raw"`` feeds the layers with grey levels from 0 to 255, as the lab does;
            ``"unit"`` puts a layer first that brings them to 0 to 1.

    Raises:
        UnknownNameError: there is no such model.
    """
    from chiffres.models.backend import keras

    model = find_builder(name)()
    if scale == "raw":
        return model
    rescaling = keras.layers.Rescaling(1 / 255)
    return keras.Sequential([keras.Input(model.input_shape[1:]), rescaling, *model.layers])


def as_input(images: npt.NDArray[np.uint8], model: keras.Model) -> npt.NDArray[np.float32]:
    """Return ``images`` ``(n, 28, 28)`` uint8 as the model takes them: float32, 0 to 255.

    Raises:
        ModelFileError: the model takes something else than one 28×28 image.
    """
    return in_input_shape(images, model).astype(np.float32)


def in_input_shape(images: npt.NDArray[np.uint8], model: keras.Model) -> npt.NDArray[np.uint8]:
    """Return ``images`` ``(n, 28, 28)``, uint8 as they are, in the shape that the model takes.

    Raises:
        ModelFileError: the model takes something else than one 28×28 image.
    """
    shape = getattr(model, "input_shape", None)
    if shape not in ((None, 784), (None, 28, 28), (None, 28, 28, 1)):
        raise ModelFileError(
            f"the model {model.name!r} takes inputs of shape {shape}; "
            "expected (None, 784), (None, 28, 28) or (None, 28, 28, 1)"
        )
    return images.reshape(len(images), *shape[1:])
