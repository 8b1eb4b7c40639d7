from __future__ import annotations

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.models import build_model
from chiffres.training.batches import Batches


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(128, [100]), (40, [40, 40, 20]), (50, [50] * 2)]
)
def test_all_digits_are_given_once(small: Dataset, batch_size: int, sizes: list[int]) -> None:
    model = build_model("dense")
    batches = Batches(small.test, model, batch_size)
    given = [batches[index] for index in range(len(batches))]
    assert [len(labels) for _, labels in given] == sizes
    inputs = np.concatenate([inputs for inputs, _ in given])
    np.testing.assert_array_equal(inputs, small.test.images.reshape(100, 784))
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in given]), small.test.labels
    )
    assert inputs.dtype == np.float32


def test_an_order_is_drawn_from_the_generator(small: Dataset) -> None:
    batches = Batches(small.test, build_model("conv"), 100)
    orders = []
    for seed in (1, 1, 2):
        batches.shuffle(np.random.default_rng(seed))
        inputs, labels = batches[0]
        orders.append(inputs)
        assert inputs.shape == (100, 28, 28, 1)
        digits = {image.tobytes(): label for image, label in zip(inputs, labels, strict=True)}
        for image, label in zip(small.test.images, small.test.labels, strict=True):
            assert digits[image.astype(np.float32).tobytes()] == label
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
