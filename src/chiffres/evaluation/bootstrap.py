"""The paired bootstrap over seeds and digits together.

It assumes nothing about the shape of a difference, but it is off where seeds are few: their spread
comes out too small, and what is chance between one run and one digit is counted three times. So
it stands beside the test of ``compare``, and decides nothing (``docs/comparing.md``, with the rate
at which either finds a difference that is none).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chiffres.evaluation.intervals import CONFIDENCE, Interval, Right

DRAWS = 4000


def bootstrap_difference(a: Right, b: Right, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return the 95 % percentile interval of the accuracy of ``a`` less that of ``b``.

    Each draw takes as many digits as there are, the same for both, and as many seeds of each.
    Digits that the same runs read right are drawn together: their count is multinomial.

    Source: A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1 (2007), 386-411.

    Args:
        a: which run of the first model, ``(seeds, digits)``, read which digit right.
        b: of the second, on the same digits; it may have another number of seeds.
        draws: how many.
        seed: of the draws, 0 or more.
    """
    rng = np.random.default_rng(seed)
    together, counts = np.unique(np.concatenate([a, b]).T, axis=0, return_counts=True)
    n = a.shape[1]
    of_each_run = rng.multinomial(n, counts / n, size=draws) @ together.astype(np.float64) / n
    drawn_a, drawn_b = (_seeds(len(right), draws, rng) for right in (a, b))
    drawn = (drawn_a * of_each_run[:, : len(a)]).sum(axis=1)
    drawn -= (drawn_b * of_each_run[:, len(a) :]).sum(axis=1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _seeds(count: int, draws: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw how much each seed counts, ``(draws, count)``, each row with the sum 1."""
    return np.asarray(rng.multinomial(count, np.full(count, 1 / count), size=draws) / count)
