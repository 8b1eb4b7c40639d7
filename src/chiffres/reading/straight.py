"""A straight printed line: a rule of the paper, or a side of a box to write in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chiffres.reading.ink import Floats

PARALLEL = 0.06
"""How much the slopes of parallel lines may differ: they converge in a photograph."""
ALIKE = 1.6
"""How many times the width and the strength of one may be those of another printed alike."""
CORNER = 3.0
"""So many pixels, and their widths, two lines may be apart where they meet."""
FULL, COVERED = 0.95, 0.85
"""What is along this share of a line is along all of it; a line along the second is the same."""


class Straight(NamedTuple):
    """A line from column ``start`` to ``stop``: where it runs, ``rows``, and how wide it is.

    What runs from top to bottom is described as if the picture lay on its side.
    """

    start: int
    stop: int
    rows: Floats
    width: float
    slope: float
    strength: float

    @property
    def length(self) -> int:
        """In columns."""
        return self.stop - self.start

    @property
    def middle(self) -> float:
        """The row of its middle column."""
        return float(self.rows[self.length // 2])

    def at(self, columns: npt.NDArray[Any]) -> Floats:
        """Return the rows at columns, beyond its ends those of the ends."""
        inside = np.rint(columns - self.start).astype(int).clip(0, self.length - 1)
        return np.asarray(self.rows[inside], np.float32)

    def is_like(self, other: Straight) -> bool:
        """Whether the two are printed alike and run alike."""
        return (
            abs(self.slope - other.slope) < PARALLEL
            and 1 / ALIKE < self.width / other.width < ALIKE
            and 1 / ALIKE < self.strength / other.strength < ALIKE
        )

    def is_as_long(self, other: Straight) -> bool:
        """Whether both begin and end beside each other."""
        return max(abs(self.start - other.start), abs(self.stop - other.stop)) <= CORNER

    def covers(self, other: Straight) -> bool:
        """Whether it is where the other is, nearly all along that."""
        apart = abs(self.middle - other.middle)
        over = min(self.stop, other.stop) - max(self.start, other.start)
        return apart <= CORNER + self.width and over >= COVERED * other.length
