"""What a reader finds in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REJECTED = "?"
"""How a digit that is too uncertain to be read shows in a text."""


@dataclass(frozen=True)
class ReadDigit:
    """One digit in a picture.

    Attributes:
        value: 0 to 9, or None where the confidence is below what is asked for: rejected.
        confidence: the calibrated probability of the likeliest digit, 0 to 1.
        box: left, top, width and height, in pixels of the upright picture.
        alternatives: digits and their probabilities, likeliest first, from 0.1 % on.
    """

    value: int | None
    confidence: float
    box: tuple[int, int, int, int]
    alternatives: tuple[tuple[int, float], ...]

    @property
    def text(self) -> str:
        """The digit, or ``?`` where it was rejected."""
        return REJECTED if self.value is None else str(self.value)


@dataclass(frozen=True)
class Reading:
    """What was read in a picture; nothing, where ``text`` is empty.

    Attributes:
        lines: of writing, from top to bottom, each digit as a character, a rejected one as ``?``.
        digits: in the order of the lines.
    """

    lines: tuple[str, ...]
    digits: tuple[ReadDigit, ...]

    @property
    def text(self) -> str:
        """The lines, a line feed between them; empty where nothing was read."""
        return "\n".join(self.lines)

    def json(self, path: str = "") -> dict[str, Any]:
        """Return one element of ``pictures`` in ``chiffres read --json``."""
        return {
            "path": path,
            "text": self.text,
            "lines": list(self.lines),
            "digits": [
                {
                    "value": digit.value,
                    "confidence": round(digit.confidence, 6),
                    "box": list(digit.box),
                    "alternatives": [[value, round(p, 6)] for value, p in digit.alternatives],
                }
                for digit in self.digits
            ],
            "error": None,
        }


def unread(path: str, error: str) -> dict[str, Any]:
    """Return what ``Reading.json`` does, of a picture that cannot be read."""
    return {"path": path, "text": "", "lines": [], "digits": [], "error": error}
