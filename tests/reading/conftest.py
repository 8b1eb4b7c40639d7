"""What the tests of reading share: the reader that comes with Chiffres, and digits it reads."""

from __future__ import annotations

import itertools
from importlib import resources

import pytest

from chiffres.data import Dataset
from chiffres.reading import Reader
from tests.reading.made import Grey, enlarged, on_paper

WEIGHTS = resources.files("chiffres.reading") / "weights" / "reader.onnx"


@pytest.fixture(scope="session")
def reader() -> Reader:
    if not WEIGHTS.is_file():
        pytest.skip("this checkout has no reading/weights/reader.onnx: make weights")
    return Reader(threads=1)


@pytest.fixture(scope="session")
def sure(mnist_5k: Dataset, reader: Reader) -> dict[int, list[Grey]]:
    """Eight validation digits of each value, which are surely read one by one.

    What is tested with them is what becomes of that in other pictures.
    """
    images, labels = mnist_5k.validation.images, mnist_5k.validation.labels
    clear = reader.classify(images).max(axis=1) > 0.999
    return {value: _read(reader, images[clear & (labels == value)], value) for value in range(10)}


def _read(reader: Reader, images: Grey, value: int) -> list[Grey]:
    read = (image for image in images if _is_read(reader, image, value))
    return list(itertools.islice(read, 8))


def _is_read(reader: Reader, image: Grey, value: int) -> bool:
    digits = reader.read(on_paper(enlarged(image, 50))).digits
    return [digit.value for digit in digits] == [value] and digits[0].confidence > 0.99
