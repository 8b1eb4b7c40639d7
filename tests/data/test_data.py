"""Datasets by name."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from chiffres.data import Dataset, load_dataset, mnist
from chiffres.errors import UnknownNameError, UsageError


def closed_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def test_an_unknown_name_proposes_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_dataset("mnsit")
    assert str(caught.value) == (
        "unknown dataset 'mnsit' (did you mean 'mnist'?); "
        "known: auto, digits, folder:PATH, idx:PATH, mnist, mnist-5k, npz:PATH"
    )


@pytest.mark.parametrize("kind", ["folder", "npz", "idx"])
def test_a_place_without_a_path(kind: str) -> None:
    with pytest.raises(UsageError, match=f"dataset '{kind}:' lacks its path: write {kind}:PATH"):
        load_dataset(f"{kind}:")


def test_an_unknown_kind_of_place() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'csv:digits.csv'"):
        load_dataset("csv:digits.csv")


@pytest.mark.parametrize(
    ("name", "kind"), [("digits.npz", "npz"), ("t10k-images", "idx"), (".", "folder")]
)
def test_a_bare_path_is_told_how_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if name != ".":
        Path(name).touch()
    with pytest.raises(UsageError, match=f"to use the digits in '{name}', write {kind}:{name}"):
        load_dataset(name)


def test_a_path_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    labels = np.arange(100, dtype=np.uint8) % 10
    np.savez(tmp_path / "own.npz", images=np.zeros((100, 28, 28), np.uint8), labels=labels)
    assert len(load_dataset("npz:~/own.npz").test) == 10


def test_auto_falls_back_to_mnist_5k_and_says_so(
    cache: Path, mnist_5k: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = f"http://127.0.0.1:{closed_port()}/"
    monkeypatch.setattr(mnist, "MIRRORS", (mirror,))
    with pytest.warns(UserWarning, match="using mnist-5k instead") as caught:
        dataset = load_dataset("auto")
    assert dataset.name == "mnist-5k"
    assert dataset.checksum == mnist_5k.checksum
    assert len(caught) == 1
    assert caught[0].filename == __file__
    message = str(caught[0].message)
    assert message.startswith(
        "MNIST cannot be had (train-images-idx3-ubyte.gz cannot be downloaded"
    )
    assert mirror in message


def test_auto_is_mnist_where_it_can_be_had(
    full_mnist: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHIFFRES_DATA", str(Path(full_mnist.origin).parent))
    assert load_dataset().name == "mnist"
