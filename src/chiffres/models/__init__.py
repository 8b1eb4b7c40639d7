"""What can be trained: one file per family of models, found by name.

Every model takes grey levels from 0 to 255, so a model file is complete in itself: where inputs
are to be scaled, scaling is the model's own first layer.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from chiffres.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from chiffres.models.backend import keras

FAMILIES = ("lab",)
"""The modules of this package whose ``MODELS`` can be built, by name."""

Scale = Literal["raw", "unit"]


def model_names() -> list[str]:
    """Return the names of all models that can be built."""
    return [name for family in FAMILIES for name in _family(family)]
