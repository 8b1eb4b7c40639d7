"""Where digits come from: one file per source, all found by name.

A name is ``mnist``, ``mnist-5k``, ``digits``, ``auto`` (``mnist`` if it can be had, else
``mnist-5k``), or a place of the user's own: ``folder:DIR``, ``npz:FILE``, ``idx:FILE``.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from chiffres.data import files, folder, mnist, optical, subset
from chiffres.data.dataset import Dataset, Digits
from chiffres.errors import DatasetError, UnknownNameError, UsageError

__all__ = ["NAMED", "PLACES", "Dataset", "Digits", "load_dataset"]

NAMED = {"mnist": mnist.load, "mnist-5k": subset.load, "digits": optical.load}
"""The datasets that come with a name: a function that loads each."""

PLACES = {"folder": folder.load, "npz": files.load_npz, "idx": files.load_idx}
"""The user's own: a function that loads the dataset from the path after ``folder:`` and so on."""


def load_dataset(name: str = "auto") -> Dataset:
    """Load the dataset called ``name``.

    Args:
        name: see the head of this module.

    Raises:
        UnknownNameError: there is no such dataset.
        DatasetError: it cannot be had, is damaged or is wrongly shaped; the message names the
            file, what was expected and what was found.
    """
    if name == "auto":
        return _load_auto()
    if name in NAMED:
        return NAMED[name]()
    kind, separator, place = name.partition(":")
    if separator and kind in PLACES:
        if not place:
            raise UsageError(f"dataset {name!r} lacks its path: write {kind}:PATH")
        return PLACES[kind](Path(place).expanduser())
    if Path(name).exists():
        kind = "folder" if Path(name).is_dir() else "npz" if name.endswith(".npz") else "idx"
        raise UsageError(f"to use the digits in {name!r}, write {kind}:{name}")
    raise UnknownNameError("dataset", name, ["auto", *NAMED, *(f"{kind}:PATH" for kind in PLACES)])


def _load_auto() -> Dataset:
    try:
        return mnist.load()
    except DatasetError as error:
        warnings.warn(
            f"MNIST cannot be had ({error}); using mnist-5k instead: "
            "5,000 real MNIST digits, so accuracies are lower and intervals wider",
            stacklevel=3,
        )
        return subset.load()
