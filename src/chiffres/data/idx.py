"""The IDX format of MNIST's files, read with every size checked before it is believed.

The format: two zero bytes, the element type (8 = uint8), the number of dimensions, each
dimension as a big-endian uint32, then the elements (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chiffres.errors import DatasetError

MAX_BYTES = 2**30
"""The largest decompressed file that is read: 1 GiB, some 1.3 million digits."""


def read_bytes(path: Path) -> bytes:
    """Return the content of ``path``, decompressed where its name ends in ``.gz``."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if len(content) > MAX_BYTES:
        raise DatasetError(f"{path}: expected at most {MAX_BYTES:,} bytes decompressed, found more")
    return content


def parse(content: bytes, path: Path) -> npt.NDArray[np.uint8]:
    """Return the uint8 array that ``content`` holds; ``path`` is for the messages only.

    Raises:
        DatasetError: the header is not IDX's, or the size is not what it announces.
    """
    if len(content) < 4 or content[:2] != b"\0\0":
        found = content[:4].hex() or "nothing"
        raise DatasetError(f"{path}: expected an IDX header (two zero bytes), found {found}")
    kind, rank = content[2], content[3]
    if kind != 8 or rank not in (1, 3):
        raise DatasetError(
            f"{path}: expected IDX type 8 (uint8) with 1 or 3 dimensions, "
            f"found type {kind} with {rank}"
        )
    start = 4 + 4 * rank
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    size, expected = len(content) - start, math.prod(shape)
    if size != expected:
        raise DatasetError(
            f"{path}: the header announces {expected:,} bytes of shape {shape}, "
            f"found {max(size, 0):,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def header(shape: tuple[int, ...]) -> bytes:
    """Return the IDX header of a uint8 array of ``shape``."""
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
