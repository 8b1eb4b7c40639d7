"""Which models are served: those that come with Chiffres, and the user's own."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chiffres.errors import ChiffresError, ModelFileError, UsageError
from chiffres.models.named import shipped_models
from chiffres.reading.network import model_bytes, shipped

FIRST = "reader"
"""The model that is asked where none is named."""


@dataclass(frozen=True)
class ServedModel:
    """A model by name.

    Attributes:
        name: what it is asked for by.
        content: the bytes of its ONNX file.
        shipped: whether it comes with Chiffres.
    """

    name: str
    content: bytes
    shipped: bool


def served_models(own: Sequence[str] = ()) -> list[ServedModel]:
    """Return the models to serve.

    Args:
        own: run folders, ``.keras``, ``.h5`` or ``.onnx`` files. What has to be converted is, in a
            process of its own, so that the server never holds a training framework.

    Raises:
        UsageError: there is no such model, or converting it needs the extra ``train``.
        ModelFileError: one cannot be loaded.
    """
    models = [ServedModel(name, content, True) for name, content in _shipped()]
    for path in own:
        name = _free_name(path, {model.name for model in models})
        models.append(ServedModel(name, _content(path), False))
    return models


def _shipped() -> list[tuple[str, bytes]]:
    names = sorted(shipped_models(), key=lambda name: (name != FIRST, name))
    return [(name, shipped(name)) for name in names]


def _free_name(path: str, taken: set[str]) -> str:
    stem = re.sub(r"[^\w.-]+", "-", Path(path).expanduser().resolve().stem) or "model"
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _content(path: str) -> bytes:
    if Path(path).suffix == ".onnx":
        return model_bytes(path)[0]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        converted = executor.submit(_converted, path).result()
    if isinstance(converted, bytes):
        return converted
    code, problem = converted
    raise (UsageError if code == UsageError.exit_code else ModelFileError)(problem)


def _converted(path: str) -> bytes | tuple[int, str]:
    """Return the model as ONNX, or the exit code and the message of what is wrong with it."""
    try:
        return model_bytes(path)[0]
    except ChiffresError as error:
        return error.exit_code, str(error)
