"""What can be trained: one file per family of models, found by name.

Every model takes grey levels from 0 to 255, so a model file is complete in itself: where inputs
are to be scaled, scaling is the model's own first layer.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from chiffres.errors import ModelFileError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from chiffres.models.backend import keras

Scale = Literal["raw", "unit"]


def models() -> dict[str, Callable[..., keras.Sequential]]:
    """Return what builds each model: the ``MODELS`` of all modules of this package, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        found |= getattr(importlib.import_module(module.name), "MODELS", {})
    return found


def find_builder(
    name: str, options: Mapping[str, Any] | None = None
) -> Callable[[], keras.Sequential]:
    """Return what builds the model called ``name`` with these options of its own.

    Raises:
        UnknownNameError: there is no such model.
        UsageError: the model has no such option.
    """
    known = models()
    if name not in known:
        raise UnknownNameError("model", name, known)
    options = options or {}
    for option in options:
        takers = [each for each in known if option in inspect.signature(known[each]).parameters]
        if name not in takers:
            raise UsageError(
                f"the model {name!r} has no {option} to set; "
                f"models that have: {', '.join(takers) or 'none'}"
            )
    return functools.partial(known[name], **options) if options else known[name]


def build_model(name: str, scale: Scale = "raw", **options: Any) -> keras.Sequential:
    """Build the model called ``name``, its weights drawn from Keras's global seed.

    Args:
        name: ``dense``, ``conv``, ``conv-pool``, ``conv-dropout``, ``swift``, ``reader``
            or another name of ``models()``.
        scale: ``"raw"`` feeds the layers with grey levels from 0 to 255, as the lab does;
            ``"unit"`` puts a layer first that brings them to 0 to 1.
        options: of the models that have them: ``dropout`` and ``pooling`` of ``conv-dropout``.

    Raises:
        UnknownNameError: there is no such model.
        UsageError: the model has no such option.
    """
    from chiffres.models.backend import keras

    model = find_builder(name, options)()
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
