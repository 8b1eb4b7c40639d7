"""Digits in the user's own files: a NumPy ``.npz`` archive, or a pair of IDX files."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

from chiffres.data.dataset import Dataset, Digits, split_three_ways, with_validation
from chiffres.data.idx import MAX_BYTES, parse, read_bytes
from chiffres.errors import DatasetError


def load_npz(path: Path) -> Dataset:
    """Load ``x_train, y_train, x_test, y_test`` (as Keras names them) or ``images, labels``.

    With a test set of its own, a tenth of the training set becomes the validation part; without,
    the digits are split 80 / 10 / 10 %.

    Raises:
        DatasetError: the archive is damaged, or its arrays are not digits.
    """
    stored = open_npz(path)
    name, origin = f"npz:{path}", str(path)
    try:
        if {"x_train", "y_train", "x_test", "y_test"} <= stored.keys():
            development = Digits(stored["x_train"], stored["y_train"])
            test = Digits(stored["x_test"], stored["y_test"])
            return with_validation(name, origin, development, test, round(len(development) / 10))
        if {"images", "labels"} <= stored.keys():
            return split_three_ways(name, origin, Digits(stored["images"], stored["labels"]))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    raise DatasetError(
        f"{path}: expected the arrays x_train, y_train, x_test, y_test, or images, labels; "
        f"found {', '.join(sorted(stored)) or 'none'}"
    )


def load_idx(path: Path) -> Dataset:
    """Load the IDX file of images at ``path`` and the file of labels that belongs to it.

    The labels' name is the images' with ``images`` → ``labels`` and ``idx3`` → ``idx1``, as in
    MNIST and EMNIST; both may end in ``.gz``. Split 80 / 10 / 10 %.

    Raises:
        DatasetError: a file is missing or damaged, or the two do not belong together.
    """
    labels_path = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels_path == path:
        raise DatasetError(
            f"{path}: expected a name with 'images' in it, so that the file of labels is known"
        )
    images, labels = (parse(read_bytes(each), each) for each in (path, labels_path))
    try:
        return split_three_ways(f"idx:{path}", str(path), Digits(images, labels))
    except DatasetError as error:
        raise DatasetError(f"{path} with {labels_path.name}: {error}") from error


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the archive at ``path``, sizes checked before any is decompressed.

    Raises:
        DatasetError: not an ``.npz`` archive, too large, damaged, or holding Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(_announced_bytes(archive, member) for member in archive.infolist())
        if total > MAX_BYTES:
            raise ValueError(f"it announces {total:,} bytes, over the limit of {MAX_BYTES:,}")
        with np.load(path, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except Exception as error:  # what zipfile and NumPy raise on damage has no common base
        raise DatasetError(f"{path}: expected a NumPy .npz archive: {error}") from error


def _announced_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return the size that the member announces; raise ValueError where it is over the limit."""
    if member.file_size > MAX_BYTES:
        raise ValueError(f"{member.filename} announces {member.file_size:,} bytes")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects, which are not loaded")
    announced = math.prod(shape) * dtype.itemsize
    if announced > MAX_BYTES:
        raise ValueError(f"{member.filename} announces shape {shape} of {dtype}")
    return max(announced, member.file_size)
