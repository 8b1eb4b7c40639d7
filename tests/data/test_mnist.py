"""MNIST itself: found, downloaded and verified."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from chiffres.data import Dataset, load_dataset, mnist
from chiffres.data.idx import header
from chiffres.errors import DatasetError

FIRST = "train-images-idx3-ubyte"


def files(dataset: Dataset) -> dict[str, bytes]:
    """Return the four files that hold the dataset, by name."""
    arrays = (
        dataset.development.images,
        dataset.development.labels,
        dataset.test.images,
        dataset.test.labels,
    )
    contents = (header(array.shape) + array.tobytes() for array in arrays)
    return dict(zip(mnist.FILES, contents, strict=True))


def write_gz(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def stand_in(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Let 600 digits be MNIST: their files, their checksums."""
    contents = files(small)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(mnist, "FILES", sums)
    return contents


def is_stand_in(dataset: Dataset, small: Dataset) -> bool:
    return (
        dataset.name == "mnist"
        and np.array_equal(dataset.development.images, small.development.images)
        and np.array_equal(dataset.test.labels, small.test.labels)
    )


# The real thing


def test_mnist_has_55000_5000_and_10000_digits(full_mnist: Dataset) -> None:
    parts = [full_mnist.train, full_mnist.validation, full_mnist.test]
    assert [len(part) for part in parts] == [55_000, 5_000, 10_000]


def test_mnist_is_in_its_own_order(full_mnist: Dataset) -> None:
    first = full_mnist.development.labels[:10]
    np.testing.assert_array_equal(first, [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    np.testing.assert_array_equal(full_mnist.test.labels[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(full_mnist.test.counts(), counts)


def test_the_split_is_the_lab_s(full_mnist: Dataset) -> None:
    images, labels = full_mnist.development.images, full_mnist.development.labels
    x_train, x_val, y_train, y_val, train, validation = train_test_split(
        images, labels, np.arange(60_000), stratify=labels, test_size=0.08333, random_state=42
    )
    np.testing.assert_array_equal(full_mnist.train_indices, train)
    np.testing.assert_array_equal(full_mnist.validation_indices, validation)
    np.testing.assert_array_equal(full_mnist.train.images, x_train)
    np.testing.assert_array_equal(full_mnist.train.labels, y_train)
    np.testing.assert_array_equal(full_mnist.validation.images, x_val)
    np.testing.assert_array_equal(full_mnist.validation.labels, y_val)


def test_the_parts_are_disjoint(full_mnist: Dataset) -> None:
    together = np.concatenate([full_mnist.train_indices, full_mnist.validation_indices])
    np.testing.assert_array_equal(np.sort(together), np.arange(60_000))


def test_mnist_is_downloaded(
    full_mnist: Dataset, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mnist.find() is None
    with serving(write_gz(tmp_path / "server", files(full_mnist))) as mirror:
        monkeypatch.setattr(mnist, "MIRRORS", (mirror,))
        downloaded = load_dataset("mnist")
    assert downloaded.checksum == full_mnist.checksum
    assert downloaded.origin == mnist.find() == str(cache / "mnist")


def test_mnist_is_found_in_keras_s_cache(
    full_mnist: Dataset, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    arrays = {
        "x_train": full_mnist.development.images,
        "y_train": full_mnist.development.labels,
        "x_test": full_mnist.test.images.copy(),
        "y_test": full_mnist.test.labels,
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]
    monkeypatch.setattr(mnist, "MIRRORS", ())
    found = load_dataset("mnist")
    assert found.checksum == full_mnist.checksum
    assert found.origin == mnist.find() == str(path)

    arrays["x_test"][9_999, 27, 27] ^= 1
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(DatasetError) as caught:
        load_dataset("mnist")
    message = str(caught.value)
    official = "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    assert message.startswith(f"{path}: expected MNIST's t10k-images-idx3-ubyte with SHA-256")
    assert official in message
    assert hashlib.sha256(files_of(arrays)).hexdigest() in message


def files_of(arrays: dict[str, np.ndarray]) -> bytes:
    images = arrays["x_test"]
    return header(images.shape) + images.tobytes()


# The way to it, with 600 digits in its place


def test_it_is_looked_for_in_the_data_folder_first(
    stand_in: dict[str, bytes],
    small: Dataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_gz(cache / "mnist", stand_in)
    assert mnist.find() == str(cache / "mnist")
    monkeypatch.setenv("CHIFFRES_DATA", str(tmp_path / "data"))
    assert mnist.find() == str(cache / "mnist")
    plain = tmp_path / "data" / "mnist"
    plain.mkdir(parents=True)
    for name, content in stand_in.items():
        (plain / name).write_bytes(content)
    assert mnist.find() == str(plain)
    assert is_stand_in(load_dataset("mnist"), small)


def test_three_files_of_four_are_none(stand_in: dict[str, bytes], cache: Path) -> None:
    folder = write_gz(cache / "mnist", stand_in)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert mnist.find() is None


@pytest.mark.parametrize("name", list(mnist.FILES))
def test_a_tampered_file_is_refused(stand_in: dict[str, bytes], cache: Path, name: str) -> None:
    content = stand_in[name]
    folder = write_gz(cache / "mnist", stand_in | {name: content[:-1] + b"\x07"})
    with pytest.raises(DatasetError) as caught:
        load_dataset("mnist")
    found = hashlib.sha256(content[:-1] + b"\x07").hexdigest()
    assert str(caught.value) == (
        f"{folder / name}.gz: expected MNIST's {name} with SHA-256 {mnist.FILES[name]}, "
        f"found {found}; delete the file to have it downloaded again"
    )


def test_it_is_downloaded_once(
    stand_in: dict[str, bytes],
    small: Dataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(write_gz(tmp_path / "server", stand_in)) as mirror:
        monkeypatch.setattr(mnist, "MIRRORS", (mirror,))
        assert is_stand_in(load_dataset("mnist"), small)
    assert is_stand_in(load_dataset("mnist"), small)  # the server is gone
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(
        f"{name}.gz" for name in mnist.FILES
    )


@pytest.mark.parametrize("how", ["tampered", "not compressed", "missing"])
def test_after_a_bad_mirror_the_next_is_tried(
    stand_in: dict[str, bytes],
    small: Dataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    bad, good = tmp_path / "bad", write_gz(tmp_path / "good", stand_in)
    write_gz(bad, stand_in | {FIRST: stand_in[FIRST][:-1] + b"\x07"})
    if how == "not compressed":
        (bad / f"{FIRST}.gz").write_text("<h1>Welcome to our network</h1>")
    elif how == "missing":
        (bad / f"{FIRST}.gz").unlink()
    with serving(bad) as first, serving(good) as second:
        monkeypatch.setattr(mnist, "MIRRORS", (first, second))
        assert is_stand_in(load_dataset("mnist"), small)


def test_when_all_mirrors_fail_all_are_named_and_nothing_bad_is_kept(
    stand_in: dict[str, bytes], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = stand_in[FIRST][:-1] + b"\x07"
    bad, empty = write_gz(tmp_path / "bad", {FIRST: wrong}), tmp_path / "empty"
    empty.mkdir()
    with serving(bad) as first, serving(empty) as second:
        monkeypatch.setattr(mnist, "MIRRORS", (first, second))
        with pytest.raises(DatasetError) as caught:
            load_dataset("mnist")
    message = str(caught.value)
    assert message.startswith(f"{FIRST}.gz cannot be downloaded (")
    assert first in message
    assert hashlib.sha256(wrong).hexdigest() in message
    assert f"{second}: HTTPError" in message
    assert "put MNIST's four files in the folder mnist/ under $CHIFFRES_DATA" in message
    assert not (cache / "mnist" / f"{FIRST}.gz").exists()


def test_an_npz_of_keras_that_lacks_an_array_is_refused(
    stand_in: dict[str, bytes], small: Dataset, cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, x_train=small.development.images, y_train=small.development.labels)
    with pytest.raises(DatasetError, match=r"expected the array 'x_test', found \['x_train', 'y_"):
        load_dataset("mnist")
