"""The line in the middle of ink, where the pen went, and how far ink reaches from it."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt


def thinned(ink: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the line in the middle of the ink, one sample wide.

    Source: T. Y. Zhang and C. Y. Suen, A fast parallel algorithm for thinning digital patterns,
    Communications of the ACM 27 (1984), 236-239.
    """
    left = ink.astype(np.uint8)
    while True:
        before = cv2.countNonZero(left)
        for kept in _kept():
            neighbours = cv2.filter2D(left, cv2.CV_8U, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)
            left &= cv2.LUT(neighbours, kept)
        if cv2.countNonZero(left) == before:
            return left.astype(bool)


def inside_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return how far each pixel is from the nearest one outside the mask; 0 where it is outside."""
    found = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(found, np.float32)


_AROUND = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
"""The places of the neighbours in a 3×3 window, from above, clockwise."""
_WEIGHTS = np.zeros((3, 3), np.float32)
for _bit, _place in enumerate(_AROUND):
    _WEIGHTS[_place] = 1 << _bit


@functools.cache
def _kept() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return, for each of the two half steps, 1 where a neighbourhood keeps its middle."""
    neighbours = (np.arange(256)[:, None] >> np.arange(8)) & 1
    count = neighbours.sum(axis=1)
    rises = ((neighbours == 0) & (np.roll(neighbours, -1, axis=1) == 1)).sum(axis=1)
    above, right, below, left = neighbours[:, ::2].T
    simple = (count >= 2) & (count <= 6) & (rises == 1)
    first = simple & (above * right * below == 0) & (right * below * left == 0)
    second = simple & (above * right * left == 0) & (above * below * left == 0)
    return (~first).astype(np.uint8), (~second).astype(np.uint8)
