"""How sure an accuracy is."""

from __future__ import annotations

from scipy.stats import binomtest

CONFIDENCE = 0.95


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of the proportion ``successes / n``.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22 (1927), 209-212.

    Raises:
        ValueError: ``n`` is under 1, or ``successes`` is not between 0 and ``n``.
    """
    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)
