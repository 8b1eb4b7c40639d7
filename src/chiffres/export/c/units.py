"""The units that a filter's weights are counted in, and how its sums become the output's.

Everywhere ``weights`` is ``(filters, taps)`` float64.
"""

from __future__ import annotations

import numpy as np

from chiffres.export.c.network import MAX_SHIFT, UINT32_MAX, Array

LARGEST_WEIGHT = 127
LARGEST_FACTOR = 2**16 - 1
MAX_FINENESS = 24
"""The most that the sums of a model that was not trained for it are shifted: what float32 holds."""
FEWEST = 4
"""The weights of a filter below which it is no wonder that they are small integers."""
NEAR = 1e-3
"""How far weights that are integers times a unit may be from it, once they were float32."""


def trained(weights: Array) -> Array | None:
    """Return each filter's unit, where all weights are small integers times the unit of theirs.

    Returns:
        ``(filters,)`` float64, the largest units possible; None where a filter has none.
    """
    if weights.shape[1] < FEWEST:
        return None
    largest = np.abs(weights).max(axis=1)
    largest[largest == 0] = 1.0
    units = np.zeros(len(weights))
    for most in reversed(range(1, LARGEST_WEIGHT + 1)):
        unit = largest / most
        counted = weights / unit[:, None]
        fits = (np.abs(counted - np.rint(counted)) < NEAR).all(axis=1)
        units[fits] = unit[fits]
    return units if units.all() else None


def powers_of_two(weights: Array, bias: Array) -> Array:
    """Return each filter's finest unit that is 1 over a power of two: ``(filters,)`` float64.

    Args:
        weights: in units of the output per unit of the input, none above ``LARGEST_WEIGHT``.
        bias: ``(filters,)`` in units of the output.
    """
    with np.errstate(divide="ignore"):
        finest = np.log2((LARGEST_WEIGHT + 0.49) / np.abs(weights).max(axis=1))
        # sums, twice over for the zero of the input, stay within 32 bits
        room = np.log2(2.0**31 / (512 * np.abs(weights).sum(axis=1) + np.abs(bias) + 512))
    return np.asarray(2.0 ** -np.clip(np.floor(np.minimum(finest, room)), 0, MAX_FINENESS))


def factor_and_shift(units: Array, highest: Array) -> tuple[Array, Array]:
    """Return by what sums are multiplied, and then shifted, to become outputs.

    Args:
        units: what one unit of the sums is in units of the output, ``(filters,)``, above 0.
        highest: the highest sums, ``(filters,)``.

    Returns:
        Factors, ``(filters,)`` int64 from 1 to 65535, 1 where the unit is a power of two; and
        shifts, ``(filters,)`` int64 from 0 to 31. Their quotient is the unit, as nearly as 32 bits
        allow.
    """
    exponent = -np.log2(units)
    powers = np.abs(exponent - np.rint(exponent)) < 1e-6
    most = np.minimum(UINT32_MAX // np.maximum(highest, 1), LARGEST_FACTOR)
    shift = np.where(powers, np.rint(exponent), np.floor(np.log2(most / units)))
    shift = np.clip(shift, 0, MAX_SHIFT).astype(np.int64)
    factor = np.clip(np.rint(units * 2.0**shift), 1, most).astype(np.int64)
    return factor, shift
