"""Digits in a NumPy archive or a pair of IDX files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import load_dataset
from chiffres.data.files import open_npz
from chiffres.data.idx import header
from chiffres.errors import DatasetError
from tests.archives import announce

LABELS = np.arange(200, dtype=np.uint8) % 10
IMAGES = np.zeros((200, 28, 28), np.uint8)
IMAGES[:, 0, 0] = np.arange(200)  # tells each image apart
IMAGES[:, 0, 1] = LABELS


def load(path: Path, **arrays: Any) -> Any:
    np.savez_compressed(path, **arrays)
    return load_dataset(f"npz:{path}")


def announcing(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    """Return an ``.npy`` file that announces an array and holds none of it."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_images_and_labels_are_split_in_three(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    dataset = load(path, images=IMAGES, labels=LABELS)
    assert (dataset.name, dataset.origin) == (f"npz:{path}", str(path))
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [160, 20, 20]
    for part in parts:
        np.testing.assert_array_equal(part.images[:, 0, 1], part.labels)
    seen = np.concatenate([part.images[:, 0, 0] for part in parts])
    np.testing.assert_array_equal(np.sort(seen), np.arange(200))


def test_keras_names_keep_their_test_set(tmp_path: Path) -> None:
    dataset = load(
        tmp_path / "keras.npz",
        x_train=IMAGES,
        y_train=LABELS.astype(np.int64),
        x_test=IMAGES[::-1][:50],
        y_test=LABELS[::-1][:50],
    )
    assert [len(part) for part in (dataset.train, dataset.validation)] == [180, 20]
    np.testing.assert_array_equal(dataset.test.images, IMAGES[::-1][:50])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[::-1][:50])
    assert dataset.train.labels.dtype == np.uint8


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load(tmp_path / "half.npz", x_train=IMAGES, y_train=LABELS)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "half.npz"))
    assert "expected the arrays x_train, y_train, x_test, y_test, or images, labels" in message
    assert message.endswith("found x_train, y_train")


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found none"):
        load_dataset(f"npz:{zipped(tmp_path / 'empty.npz')}")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, :, 1:], LABELS, r"images of shape \(n, 28, 28\), found \(200, 28, 27\)"),
        (IMAGES.reshape(200, 784), LABELS, r"shape \(n, 28, 28\), found \(200, 784\)"),
        (IMAGES.astype(np.float32), LABELS, "expected images of dtype uint8, found float32"),
        (IMAGES, LABELS[:-1], r"one label per image \(200\), found labels of shape \(199,\)"),
        (IMAGES, LABELS[:, np.newaxis], r"one label per image \(200\), found .*\(200, 1\)"),
        (IMAGES, LABELS.astype(float), "expected integer labels, found dtype float64"),
        (IMAGES, LABELS.astype(str), "expected integer labels, found dtype <U3"),
        (IMAGES, LABELS + 1, "expected labels from 0 to 9, found labels from 1 to 10"),
        (IMAGES, LABELS.astype(np.int8) - 1, "from 0 to 9, found labels from -1 to 8"),
        (IMAGES[:0], LABELS[:0], "expected at least one digit, found none"),
        (IMAGES, LABELS // 9 * 9, "cannot split 200 digits .* by class"),
    ],
    ids=[
        "shape", "rank", "dtype", "count", "label rank", "float labels", "text labels", "over 9",
        "under 0", "none", "too rare",
    ],
)  # fmt: skip
def test_arrays_that_are_no_digits_are_refused(
    tmp_path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any], message: str
) -> None:
    if message.startswith("cannot"):
        labels = np.where(np.arange(200) == 7, 3, 0)  # a single 3
    with pytest.raises(DatasetError, match=message) as caught:
        load(tmp_path / "wrong.npz", images=images, labels=labels)
    assert str(caught.value).startswith(str(tmp_path / "wrong.npz"))


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_python_objects_are_refused_and_not_unpickled(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    with pytest.raises(DatasetError, match=r"images\.npy holds Python objects"):
        load(tmp_path / "pickle.npz", images=trap, labels=LABELS)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pickle.npz"
    np.array([Trap(tmp_path / "sprung")], dtype=object).dump(path)
    with pytest.raises(DatasetError, match=r"pickle\.npz: expected a NumPy \.npz archive"):
        open_npz(path)
    assert not (tmp_path / "sprung").exists()


def test_an_announced_shape_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "huge.npz", images=announcing((2**40, 28, 28)))
    with pytest.raises(DatasetError, match=r"images\.npy announces shape \(1099511627776, "):
        open_npz(path)


def test_an_announced_member_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "huge.npz", images=announcing((1, 28, 28)) + bytes(784))
    announce(path, "images.npy", 2**31)
    with pytest.raises(DatasetError, match=r"images\.npy announces 2,147,483,648 bytes"):
        open_npz(path)


def test_many_arrays_over_the_limit_together_are_refused(tmp_path: Path) -> None:
    half = announcing((700_000, 28, 28))
    path = zipped(tmp_path / "many.npz", **{f"images{i}": half for i in range(8)})
    with pytest.raises(DatasetError, match=r"announce.* over the limit of 1,073,741,824"):
        open_npz(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"x,y\n1,2\n", announcing((1, 28, 28))],
    ids=["empty", "half an archive", "text", "npy"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digits.npz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"digits\.npz: expected a NumPy \.npz archive"):
        load_dataset(f"npz:{path}")


def test_a_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.npz: expected a NumPy .* No such file"):
        load_dataset(f"npz:{tmp_path / 'none.npz'}")


def npy(header: bytes, version: int = 1) -> bytes:
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"text",
        b"\x93NUMPY\x01\x00",
        npy(b"{}", version=9),
        npy(b"{'descr': '|u1', 'shape': (1, 28"),
        npy(b"{'descr': ',', 'fortran_order': False, 'shape': (1, 2)}"),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (True, 2)}") + bytes(2),
        npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2)}"),
        npy(b"-" * 5000 + b"1"),
        announcing((200, 28, 28)),
    ],
    ids=[
        "empty", "text", "cut", "version", "header cut", "no type", "no sizes", "negative",
        "nested", "header alone",
    ],
)  # fmt: skip
def test_a_member_that_is_no_array_is_refused(tmp_path: Path, member: bytes) -> None:
    with pytest.raises(DatasetError, match=r"own\.npz: expected a NumPy \.npz archive"):
        open_npz(zipped(tmp_path / "own.npz", images=member))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, 99])
def test_a_damaged_or_unknown_compression_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "own.npz"
    known = zipfile.ZIP_STORED if method == 99 else method
    with zipfile.ZipFile(path, "w", known) as archive:
        archive.writestr("images.npy", announcing((1, 28, 28)) + bytes(range(98)) * 8)
    content = bytearray(path.read_bytes())
    if method == 99:
        for at in (8, content.index(b"PK\x01\x02") + 10):
            content[at] = 99
    else:
        start = 30 + len("images.npy")
        content[start + 12 : start + 60] = bytes(48)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"own\.npz: expected a NumPy \.npz archive"):
        open_npz(path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("npz") / "genuine.npz"
    np.savez_compressed(path, images=IMAGES[:3], labels=LABELS[:3])
    return path


@given(at=st.integers(0), value=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_archive_is_read_or_refused(
    archive: Path, at: int, value: int, cut: bool
) -> None:
    content = bytearray(archive.read_bytes())
    place = at % len(content)
    content[place] ^= value
    damaged = archive.with_name("damaged.npz")
    damaged.write_bytes(content[:place] if cut else content)
    try:
        arrays = open_npz(damaged)
    except DatasetError:
        return
    assert not cut
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def write_idx(
    folder: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], name: str
) -> Path:
    path = folder / name
    path.write_bytes(header(images.shape) + images.tobytes())
    own = name.replace("images", "labels").replace("idx3", "idx1")
    (folder / own).write_bytes(header(labels.shape) + labels.tobytes())
    return path


@pytest.mark.parametrize("name", ["emnist-images-idx3-ubyte", "images", "train.images.idx"])
def test_a_pair_of_idx_files(tmp_path: Path, name: str) -> None:
    path = write_idx(tmp_path, IMAGES, LABELS, name)
    dataset = load_dataset(f"idx:{path}")
    assert dataset.name == f"idx:{path}"
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [160, 20, 20]
    for part in parts:
        np.testing.assert_array_equal(part.images[:, 0, 1], part.labels)


def test_labels_that_do_not_match_the_images_are_refused(tmp_path: Path) -> None:
    path = write_idx(tmp_path, IMAGES, LABELS[:-1], "own-images-idx3-ubyte")
    with pytest.raises(DatasetError) as caught:
        load_dataset(f"idx:{path}")
    assert str(caught.value) == (
        f"{path} with own-labels-idx1-ubyte: expected one label per image (200), "
        "found labels of shape (199,)"
    )


def test_images_without_their_labels_are_refused(tmp_path: Path) -> None:
    path = write_idx(tmp_path, IMAGES, LABELS, "own-images-idx3-ubyte")
    (tmp_path / "own-labels-idx1-ubyte").unlink()
    with pytest.raises(DatasetError, match=r"own-labels-idx1-ubyte: cannot be read"):
        load_dataset(f"idx:{path}")


def test_labels_in_place_of_images_are_refused(tmp_path: Path) -> None:
    path = write_idx(tmp_path, LABELS, LABELS, "own-images-idx3-ubyte")
    with pytest.raises(DatasetError, match=r"expected images of shape .* found \(200,\)"):
        load_dataset(f"idx:{path}")


def test_a_name_that_does_not_tell_the_labels_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "digits-ubyte"
    path.write_bytes(header(IMAGES.shape) + IMAGES.tobytes())
    with pytest.raises(DatasetError, match="expected a name with 'images' in it"):
        load_dataset(f"idx:{path}")
