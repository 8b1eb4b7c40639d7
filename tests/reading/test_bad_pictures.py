"""What cannot be read says why in one line."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import image
from chiffres.errors import ImageError
from chiffres.reading import Reader
from tests.reading.made import as_file, enlarged, on_paper

NOISE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)


def bomb(width: int, height: int) -> bytes:
    """Return a PNG file that announces so many pixels and holds none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


BAD = {
    "empty": (b"", "empty: a file of 0 bytes"),
    "text": (b"value,count\n1,2\n", "not an image of a known format"),
    "truncated png": (as_file(NOISE)[:-5000], "cannot be read: "),
    "truncated jpeg": (as_file(NOISE, "JPEG")[:-900], "cannot be read: image file is truncated"),
    "truncated webp": (as_file(NOISE, "WEBP")[:200], "cannot be read: |not an image"),
    "truncated tiff": (as_file(NOISE, "TIFF")[:9000], "cannot be read: "),
    "no pixels": (bomb(20, 20), "cannot be read: "),
    "bomb": (bomb(60_000, 60_000), "over the limit of 100,000,000"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG cannot be decoded here; save it as"),
    "heic": (b"\0\0\0\x24ftypheic\0\0\0\0mif1", "HEIC cannot be decoded here; save it as"),
    "pdf": (b"%PDF-1.7\n", "PDF cannot be decoded here; save it as PNG or JPEG first"),
    "eps": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "EPS is a program that draws; save it as PNG or JPEG first",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_content(tmp_path: Path, reader: Reader, kind: str) -> None:
    content, problem = BAD[kind]
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    for source, name in ((path, str(path)), (content, "the picture")):
        with pytest.raises(ImageError, match=problem) as caught:
            reader.read(source)
        assert str(caught.value).startswith(f"{name}: ")
        assert "\n" not in str(caught.value)


def test_bad_paths(tmp_path: Path, reader: Reader) -> None:
    with pytest.raises(ImageError, match=r"none\.png: cannot be read: No such file or directory$"):
        reader.read(tmp_path / "none.png")
    with pytest.raises(ImageError, match=r"cannot be read: it is a folder$"):
        reader.read(tmp_path)
    with pytest.raises(ImageError, match=r"cannot be read: .*null"):
        reader.read("a\0b.png")
    with pytest.raises(ImageError, match=r"cannot be read: File name too long$"):
        reader.read("x" * 5000)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_file_without_permission(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "closed.png"
    path.write_bytes(as_file(NOISE))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"closed\.png: cannot be read: Permission denied$"):
        reader.read(path)


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(as_file(NOISE))
    with path.open("rb+") as file:
        file.truncate(image.MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ImageError, match=r"67,108,865 bytes, over the limit of 67,108,864$"):
        reader.read(path)


@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]))
def test_a_damaged_file_is_read_or_refused(
    data: st.DataObject, kind: str, reader: Reader, sure: dict[int, list[np.ndarray]]
) -> None:
    content = bytearray(as_file(on_paper(enlarged(sure[5][0], 40), 10), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    with contextlib.suppress(ImageError):
        reader.read(bytes(content[:cut]))
