"""Runs whose true accuracy is known, to hold the statistics to what they promise.

A run reads a digit right where the ease of the digit, which all models share, the taste of its
model for this digit, the luck of its seed and chance together are above 0. All four are normal, so
the expected accuracy is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Right = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Population:
    """Models and digits to draw from.

    Attributes:
        ease: of an average digit.
        seed: the standard deviation of the luck of a seed; 0.1 moves the accuracy by a point or so.
        taste: the standard deviation of the taste of a model for a digit.
        chance: the standard deviation of what is chance between one run and one digit.
    """

    ease: float = 2.0
    seed: float = 0.1
    taste: float = 0.4
    chance: float = 0.6

    def accuracy(self, better: float = 0.0) -> float:
        """Return the expected accuracy of a model to which every digit is so much easier."""
        spread = np.sqrt(1 + self.seed**2 + self.taste**2 + self.chance**2)
        return float(norm.cdf((self.ease + better) / spread))

    def digits(self, n: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw the ease of so many digits."""
        return self.ease + rng.standard_normal(n)

    def luck(self, seeds: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw the luck of so many seeds, ``(seeds, 1)``."""
        return self.seed * rng.standard_normal((seeds, 1))

    def read(
        self,
        digits: npt.NDArray[np.float64],
        luck: npt.NDArray[np.float64],
        rng: np.random.Generator,
        better: float = 0.0,
    ) -> Right:
        """Let a model's runs read the digits, ``(seeds, digits)``."""
        taste = self.taste * rng.standard_normal(len(digits))
        chance = self.chance * rng.standard_normal((len(luck), len(digits)))
        return np.asarray(digits + better + taste + luck + chance > 0)
