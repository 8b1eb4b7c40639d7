"""Digits as image files, sorted into a folder per class.

``DIR/0`` to ``DIR/9``, split 80 / 10 / 10 %; or ``DIR/train/0`` … and ``DIR/test/0`` …, where a
tenth of the training set becomes the validation part.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chiffres.data.dataset import CLASSES, Dataset, Digits, split_three_ways, with_validation
from chiffres.data.image import read_digit
from chiffres.errors import DatasetError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def load(folder: Path) -> Dataset:
    """Load the images below ``folder``; any that are not 28×28 are brought to MNIST's format.

    Raises:
        DatasetError: the folder is missing, or a class has no image.
        ImageError: an image cannot be decoded or shows no digit.
    """
    name, origin = f"folder:{folder}", str(folder)
    if (folder / "train").is_dir():
        development = _read_classes(folder / "train")
        test = _read_classes(folder / "test")
        return with_validation(name, origin, development, test, round(len(development) / 10))
    return split_three_ways(name, origin, _read_classes(folder))


def _read_classes(folder: Path) -> Digits:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder with the folders 0 to 9, found none")
    images: list[np.ndarray] = []
    labels: list[int] = []
    for digit in range(CLASSES):
        paths = _image_paths(folder / str(digit))
        images += [read_digit(path) for path in paths]
        labels += [digit] * len(paths)
    return Digits(np.stack(images), np.array(labels, np.uint8))


def _image_paths(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DatasetError(
            f"{folder}: expected images ({', '.join(sorted(SUFFIXES))}) of the digit "
            f"{folder.name}, found none"
        )
    return paths
