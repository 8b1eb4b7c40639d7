"""Digits in a file, as processes of their own can load them."""

from __future__ import annotations

import numpy as np
import pytest

from chiffres.data import Dataset, load_dataset


@pytest.fixture(scope="session")
def from_file(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """400 digits to train on, 50 to validate and 50 to test with."""
    path = tmp_path_factory.mktemp("digits") / "small.npz"
    np.savez(path, images=small.development.images, labels=small.development.labels)
    return load_dataset(f"npz:{path}")
