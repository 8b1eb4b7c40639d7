"""mnist-5k."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chiffres.data import Dataset, load_dataset
from chiffres.data.files import open_npz


def test_it_has_4000_500_and_500_digits(mnist_5k: Dataset) -> None:
    assert mnist_5k.name == "mnist-5k"
    parts = [mnist_5k.train, mnist_5k.validation, mnist_5k.test]
    assert [len(part) for part in parts] == [4000, 500, 500]


def test_every_part_has_as_many_of_each_digit(mnist_5k: Dataset) -> None:
    for part, each in ((mnist_5k.train, 400), (mnist_5k.validation, 50), (mnist_5k.test, 50)):
        np.testing.assert_array_equal(part.counts(), [each] * 10)


def test_no_digit_stands_in_two_parts(mnist_5k: Dataset) -> None:
    parts = [mnist_5k.train, mnist_5k.validation, mnist_5k.test]
    distinct = {image.tobytes() for part in parts for image in part.images}
    assert len(distinct) == 5000


def test_all_stand_among_the_first_5848_of_mnist(mnist_5k: Dataset, full_mnist: Dataset) -> None:
    development = full_mnist.development
    first = {
        image.tobytes(): int(label)
        for image, label in zip(development.images[:5848], development.labels[:5848], strict=True)
    }
    for part in (mnist_5k.development, mnist_5k.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert first[image.tobytes()] == label


def test_a_damaged_cache_was_replaced_by_a_good_one(mnist_5k: Dataset, session_cache: Path) -> None:
    stored = open_npz(session_cache / "mnist-5k.npz")  # the session began with half a file
    assert stored["images"].shape == (5000, 28, 28)
    np.testing.assert_array_equal(np.bincount(stored["labels"]), [500] * 10)


def test_the_cache_gives_the_same_digits(mnist_5k: Dataset, cache: Path) -> None:
    assert load_dataset("mnist-5k").checksum == mnist_5k.checksum


def test_a_tampered_cache_is_not_believed(mnist_5k: Dataset, cache: Path) -> None:
    path = cache / "mnist-5k.npz"
    stored = open_npz(path)
    stored["images"][0, 0, 0] = 1
    np.savez(path, images=stored["images"], labels=stored["labels"])
    assert load_dataset("mnist-5k").checksum == mnist_5k.checksum
    assert open_npz(path)["images"][0, 0, 0] == 0
