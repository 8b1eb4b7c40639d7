from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from chiffres.data.dataset import (
    Dataset,
    Digits,
    PartName,
    split,
    split_three_ways,
    with_validation,
)
from chiffres.errors import DatasetError, UnknownNameError


def digits(n: int) -> Digits:
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 5, 5] = np.arange(n) % 256
    return Digits(images, (np.arange(n) % 10).astype(np.uint8))


@pytest.fixture
def dataset() -> Dataset:
    return split_three_ways("own", "here", digits(200))


def test_a_part_keeps_the_order_asked_for() -> None:
    taken = digits(30).take(np.array([7, 3, 29]))
    np.testing.assert_array_equal(taken.images[:, 5, 5], [7, 3, 29])
    np.testing.assert_array_equal(taken.labels, [7, 3, 9])


def test_counts_are_per_digit() -> None:
    np.testing.assert_array_equal(digits(13).counts(), [2, 2, 2, 1, 1, 1, 1, 1, 1, 1])


def test_a_dataset_has_three_parts(dataset: Dataset) -> None:
    assert [len(dataset.part(name)) for name in ("train", "validation", "test")] == [160, 20, 20]
    assert dataset.part("train") is dataset.train
    np.testing.assert_array_equal(dataset.validation.counts(), [2] * 10)
    np.testing.assert_array_equal(dataset.test.counts(), [2] * 10)


def test_an_unknown_part_proposes_the_nearest(dataset: Dataset) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown part 'valid'.*did you mean 'validation'"):
        dataset.part("valid")


@given(
    st.lists(st.integers(0, 9), min_size=80, max_size=200),
    st.one_of(st.integers(10, 40), st.floats(0.2, 0.5)),
)
def test_a_split_is_that_of_scikit_learn(more: list[int], held_out: float) -> None:
    labels = np.array([*list(range(10)) * 2, *more], np.uint8)
    kept, held = split(labels, held_out)
    images = np.arange(len(labels))
    expected = train_test_split(
        images, labels, stratify=labels, test_size=held_out, random_state=42
    )
    np.testing.assert_array_equal(kept, expected[0])
    np.testing.assert_array_equal(held, expected[1])
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), images)


def test_a_digit_too_rare_to_be_split_is_an_error() -> None:
    labels = np.array([0] * 50 + [1], np.uint8)
    with pytest.raises(DatasetError, match=r"cannot split 51 digits \(5 held out\) by class"):
        split(labels, 5)


def test_the_test_part_is_left_as_it_is() -> None:
    test = digits(40)
    dataset = with_validation("own", "here", digits(200), test, 20)
    assert dataset.test is test
    assert len(dataset.train) == 180


def test_the_checksum_is_of_content_alone(dataset: Dataset) -> None:
    again = split_three_ways("another name", "elsewhere", digits(200))
    assert again.checksum == dataset.checksum
    assert len(dataset.checksum) == 64


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("what", ["images", "labels"])
def test_the_checksum_sees_every_part(dataset: Dataset, part: PartName, what: str) -> None:
    before = dataset.checksum
    of = dataset.test if part == "test" else dataset.development
    first = 0 if part == "test" else getattr(dataset, f"{part}_indices")[0]
    getattr(of, what)[first] ^= 1
    again = dataclasses.replace(dataset)
    assert again.checksum != before


def test_the_checksum_sees_the_split(dataset: Dataset) -> None:
    others = [
        dataclasses.replace(dataset, train_indices=dataset.train_indices[::-1]),
        dataclasses.replace(dataset, validation_indices=dataset.validation_indices[::-1]),
    ]
    assert len({each.checksum for each in (dataset, *others)}) == 3
