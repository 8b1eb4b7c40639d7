"""Chiffres trains, judges, compares, reads with and deploys classifiers of handwritten digits.

Everything public is listed in ``__all__`` and imported on first use, so that ``import chiffres``
stays fast and a missing extra is only noticed by those who need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "ChiffresError",
    "Dataset",
    "Evaluation",
    "Reader",
    "Recipe",
    "Run",
    "build_model",
    "evaluate",
    "export_model",
    "load_dataset",
    "load_model",
    "load_recipe",
    "predict",
    "run_lab",
    "train",
]

if TYPE_CHECKING:
    from chiffres.data import Dataset, load_dataset
    from chiffres.errors import ChiffresError
    from chiffres.evaluation.metrics import Evaluation, evaluate
    from chiffres.evaluation.predict import predict
    from chiffres.export import export_model
    from chiffres.lab.experiment import run_lab
    from chiffres.models import build_model
    from chiffres.models.files import load_model
    from chiffres.reading import Reader
    from chiffres.training.recipe import Recipe, load_recipe
    from chiffres.training.run import Run
    from chiffres.training.train import train

_HOMES = {
    "ChiffresError": "chiffres.errors",
    "Dataset": "chiffres.data",
    "Evaluation": "chiffres.evaluation.metrics",
    "Reader": "chiffres.reading",
    "Recipe": "chiffres.training.recipe",
    "Run": "chiffres.training.run",
    "build_model": "chiffres.models",
    "evaluate": "chiffres.evaluation.metrics",
    "export_model": "chiffres.export",
    "load_dataset": "chiffres.data",
    "load_model": "chiffres.models.files",
    "load_recipe": "chiffres.training.recipe",
    "predict": "chiffres.evaluation.predict",
    "run_lab": "chiffres.lab.experiment",
    "train": "chiffres.training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chiffres' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
