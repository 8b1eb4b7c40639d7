"""scikit-learn's 1,797 optical digits: 8×8 pixels, another source, for transfer checks.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998 (the 1,797 of its test set), as shipped by scikit-learn.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from chiffres.data.dataset import Dataset, Digits, split_three_ways

MARGIN = 4
"""Pixels of background around the enlarged digit, as in MNIST."""


def load() -> Dataset:
    """Load the digits, enlarged to 20×20 in 28×28, split 80 / 10 / 10 %."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.stack([enlarge(image) for image in bunch.images])
    return split_three_ways("digits", "scikit-learn", Digits(images, bunch.target.astype(np.uint8)))


def enlarge(image: np.ndarray) -> np.ndarray:
    """Return the 8×8 image (values 0 to 16) as 28×28 uint8 (0 to 255), bicubic."""
    grey = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
    return np.pad(np.asarray(grey.resize((20, 20), Image.Resampling.BICUBIC)), MARGIN)
