"""scikit-learn's digits."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from chiffres.data import load_dataset
from chiffres.data.optical import enlarge


def test_all_1797_digits_are_split_in_three() -> None:
    dataset = load_dataset("digits")
    parts = [dataset.train, dataset.validation, dataset.test]
    assert [len(part) for part in parts] == [1437, 180, 180]
    counts = sum(part.counts() for part in parts)
    np.testing.assert_array_equal(counts, np.bincount(load_digits().target))
    for part in parts:
        assert abs(part.counts() / len(part) - 0.1).max() < 0.01


def test_they_lie_in_a_box_of_20_pixels() -> None:
    images = load_dataset("digits").development.images
    border = images.copy()
    border[:, 4:-4, 4:-4] = 0
    assert border.max() == 0
    assert images[:, 4:-4, 4:-4].max() == 255


def test_grey_levels_0_to_16_become_0_to_255() -> None:
    assert enlarge(np.zeros((8, 8))).max() == 0
    full = enlarge(np.full((8, 8), 16.0))
    assert full.shape == (28, 28)
    assert full.dtype == np.uint8
    np.testing.assert_array_equal(full, np.pad(np.full((20, 20), 255), 4))
    assert enlarge(np.full((8, 8), 8.0))[14, 14] == 128
