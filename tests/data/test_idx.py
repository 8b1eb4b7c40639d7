from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chiffres.data import idx
from chiffres.data.idx import header, parse, read_bytes
from chiffres.errors import DatasetError

PATH = Path("some-images-idx3-ubyte")
IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = bytes.fromhex("00000803 00000002 00000003 00000004") + bytes(range(24))

uint8_arrays = st.sampled_from([1, 3]).flatmap(
    lambda rank: arrays(np.uint8, array_shapes(min_dims=rank, max_dims=rank, min_side=0))
)


def test_known_bytes_are_read() -> None:
    np.testing.assert_array_equal(parse(CONTENT, PATH), IMAGES)


def test_known_bytes_are_written() -> None:
    assert header((2, 3, 4)) + IMAGES.tobytes() == CONTENT


@given(uint8_arrays)
def test_what_is_written_is_read_again(array: npt.NDArray[np.uint8]) -> None:
    found = parse(header(array.shape) + array.tobytes(), PATH)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


@given(uint8_arrays, st.data())
def test_every_truncation_is_refused(array: npt.NDArray[np.uint8], data: st.DataObject) -> None:
    content = header(array.shape) + array.tobytes()
    end = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DatasetError, match=PATH.name):
        parse(content[:end], PATH)


@given(uint8_arrays, st.binary(min_size=1))
def test_every_extension_is_refused(array: npt.NDArray[np.uint8], more: bytes) -> None:
    with pytest.raises(DatasetError, match=r"header announces .* found"):
        parse(header(array.shape) + array.tobytes() + more, PATH)


@given(st.integers(0, 15), st.integers(0, 255))
def test_every_wrong_header_byte_is_refused(at: int, value: int) -> None:
    assume(CONTENT[at] != value)
    with pytest.raises(DatasetError, match=PATH.name):
        parse(CONTENT[:at] + bytes([value]) + CONTENT[at + 1 :], PATH)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        array = parse(content, PATH)
    except DatasetError:
        return
    assert header(array.shape) + array.tobytes() == content


@pytest.mark.parametrize(
    ("content", "expected", "found"),
    [
        (b"", "an IDX header (two zero bytes)", "nothing"),
        (b"\x89PNG", "an IDX header (two zero bytes)", "89504e47"),
        (b"\0\0\x0d\x01\0\0\0\0", "IDX type 8 (uint8)", "type 13"),
        (b"\0\0\x08\x02" + bytes(8), "1 or 3 dimensions", "with 2"),
        (CONTENT[:-1], "24 bytes of shape (2, 3, 4)", "found 23"),
        (CONTENT + b"?", "24 bytes of shape (2, 3, 4)", "found 25"),
        (CONTENT[:10], "the header announces", "found 0"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "79,228,162,458,924,105,385,300,197,375 bytes", "found 0"),
    ],
    ids=["empty", "magic", "type", "rank", "short", "long", "header cut", "huge"],
)
def test_a_damaged_file_is_named_with_what_was_expected_and_found(
    content: bytes, expected: str, found: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        parse(content, PATH)
    message = str(caught.value)
    assert message.startswith(f"{PATH}: ")
    assert expected in message
    assert found in message


def test_a_compressed_file_is_decompressed(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT))
    (tmp_path / "a").write_bytes(CONTENT)
    assert read_bytes(tmp_path / "a.gz") == read_bytes(tmp_path / "a") == CONTENT


def damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "content",
    [gzip.compress(CONTENT)[:-9], damaged(gzip.compress(CONTENT)), CONTENT, b"\x1f\x8b"],
    ids=["truncated", "damaged", "not compressed", "two bytes"],
)
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"images-idx3-ubyte\.gz: cannot be read"):
        read_bytes(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"labels\.gz: cannot be read: .*No such file"):
        read_bytes(tmp_path / "labels.gz")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_bytes(tmp_path)


@pytest.mark.parametrize("name", ["bomb.gz", "long"])
def test_a_file_over_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(idx, "MAX_BYTES", 1000)
    content = bytes(1001)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(DatasetError, match=r"expected at most 1,000 bytes .* found more"):
        read_bytes(path)
    path.write_bytes(gzip.compress(content[1:]) if name.endswith(".gz") else content[1:])
    assert len(read_bytes(path)) == 1000
