"""From anyone's picture to the digits in it, without a training framework.

``picture`` loads, ``ink`` finds what was written, ``rules`` removes the lines of the paper,
``segment`` and ``lattice`` find the digits, ``touching`` parts those that touch, ``normalize``
brings each to MNIST's format, and ``reader`` puts all of it together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["ReadDigit", "Reader", "Reading"]

if TYPE_CHECKING:
    from chiffres.reading.reader import Reader
    from chiffres.reading.result import ReadDigit, Reading

_HOMES = {
    "ReadDigit": "chiffres.reading.result",
    "Reader": "chiffres.reading.reader",
    "Reading": "chiffres.reading.result",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chiffres.reading' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
