"""MNIST: 70,000 handwritten digits, found on this machine or downloaded, and verified.

It is looked for in ``$CHIFFRES_DATA/mnist``, in the user's cache folder and in Keras's own
cache, in that order; else the four official files are downloaded to the cache folder. Whatever
the way, the decompressed files must have the SHA-256 of the official ones.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from chiffres.data.dataset import Dataset, Digits, with_validation
from chiffres.data.files import open_npz
from chiffres.data.idx import header, parse, read_bytes
from chiffres.errors import DatasetError
from chiffres.storage import cache_folder

FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The four official files and the SHA-256 of each, decompressed."""

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
VALIDATION = 0.08333
"""The lab's ``test_size``: 5,000 of the 60,000."""

_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


def load() -> Dataset:
    """Load MNIST, split 55,000 / 5,000 / 10,000 as in the lab.

    Raises:
        DatasetError: a file found is not the official one, or none was found and the download
            failed.
    """
    arrays, origin = _find() or _download()
    return with_validation(
        "mnist", origin, Digits(arrays[0], arrays[1]), Digits(arrays[2], arrays[3]), VALIDATION
    )


def find() -> str | None:
    """Say where MNIST lies on this machine, or None; nothing is read."""
    for folder in _folders():
        if all(_file(folder, name) for name in FILES):
            return str(folder)
    return str(_keras_cache()) if _keras_cache().is_file() else None


def _find() -> tuple[list[np.ndarray], str] | None:
    place = find()
    if place is None:
        return None
    path = Path(place)
    return (_read_npz(path) if path.is_file() else _read_folder(path)), place


def _folders() -> list[Path]:
    chosen = os.environ.get("CHIFFRES_DATA")
    return [*([Path(chosen) / "mnist"] if chosen else []), cache_folder() / "mnist"]


def _keras_cache() -> Path:
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets" / "mnist.npz"


def _file(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _verify(content: bytes | memoryview, head: bytes, name: str, path: Path) -> None:
    digest = hashlib.sha256(head)
    digest.update(content)
    if digest.hexdigest() != FILES[name]:
        raise DatasetError(
            f"{path}: expected MNIST's {name} with SHA-256 {FILES[name]}, "
            f"found {digest.hexdigest()}; delete the file to have it downloaded again"
        )


def _read_folder(folder: Path) -> list[np.ndarray]:
    arrays = []
    for name in FILES:
        path = _file(folder, name)
        if path is None:
            raise DatasetError(f"{folder}: expected the file {name} or {name}.gz, found neither")
        content = read_bytes(path)
        _verify(content, b"", name, path)
        arrays.append(parse(content, path))
    return arrays


def _read_npz(path: Path) -> list[np.ndarray]:
    stored = open_npz(path)
    arrays = []
    for key, name in zip(_NPZ_KEYS, FILES, strict=True):
        if key not in stored:
            raise DatasetError(f"{path}: expected the array {key!r}, found {sorted(stored)}")
        array = np.ascontiguousarray(stored[key])
        _verify(array.data.cast("B"), header(array.shape), name, path)
        arrays.append(array)
    return arrays


def _download() -> tuple[list[np.ndarray], str]:
    folder = cache_folder() / "mnist"
    for name in FILES:
        _download_file(name, folder)
    return _read_folder(folder), str(folder)


def _download_file(name: str, folder: Path) -> None:
    """Download one file, trying each mirror; a file that is not the official one is removed."""
    import pooch
    import requests

    failures = []
    for mirror in MIRRORS:
        try:
            path = pooch.retrieve(
                url=f"{mirror}{name}.gz",
                known_hash=None,  # verified decompressed: mirrors may compress differently
                fname=f"{name}.gz",
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=20),
            )
        except (requests.RequestException, OSError, ValueError) as error:
            failures.append(f"{mirror}: {type(error).__name__}")
            continue
        try:
            _verify(read_bytes(Path(path)), b"", name, Path(path))
            return
        except DatasetError as error:
            Path(path).unlink()
            failures.append(f"{mirror}: {error}")
    raise DatasetError(
        f"{name}.gz cannot be downloaded ({'; '.join(failures)}); check the network, or put "
        "MNIST's four files in the folder mnist/ under $CHIFFRES_DATA"
    )
