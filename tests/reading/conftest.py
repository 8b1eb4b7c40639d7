"""What the tests of reading share: the reader that comes with Chiffres, and digits it reads."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.reading import Reader
from tests.reading.made import Grey

WEIGHTS = resources.files("chiffres.reading") / "weights" / "reader.onnx"


@pytest.fixture(scope="session")
def reader() -> Reader:
    if not WEIGHTS.is_file():
        pytest.skip("this checkout has no reading/weights/reader.onnx: make weights")
    return Reader(threads=1)


@pytest.fixture(scope="session")
def sure(mnist_5k: Dataset, reader: Reader) -> dict[int, list[Grey]]:
    """Eight validation digits of each value, which the classifier alone is sure of.

    What is tested with them is the way of a picture to the classifier.
    """
    images, labels = mnist_5k.validation.images, mnist_5k.validation.labels
    probabilities = reader.classify(images)
    clear = (probabilities.argmax(axis=1) == labels) & (probabilities.max(axis=1) > 0.999)
    return {
        value: list(images[np.flatnonzero(clear & (labels == value))[:8]]) for value in range(10)
    }
