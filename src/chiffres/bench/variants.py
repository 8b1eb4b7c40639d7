"""The same digits in another picture, which must be read the same: inverted, turned, ..."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.bench.sets import ENLARGED, AnyPicture, png
from chiffres.data import Digits
from chiffres.data.pages.shapes import of_digits
from chiffres.data.pages.writing import Writing, written

Grey = npt.NDArray[np.uint8]

TURNED = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: np.rot90(upright, -1),
}
"""What is stored in a file of each EXIF orientation, of a picture that shows upright."""
SCALES = (0.5, 20)
LARGEST = 4000
"""The longer side of a scaled picture, in pixels, at most."""


class Original:
    """Some digits on plain paper, and that picture changed in ways that leave them the same."""

    def __init__(self, rng: np.random.Generator, digits: Digits) -> None:
        """Write one to six digits."""
        self.rng = rng
        height = rng.uniform(28, 60)
        pen = height * rng.uniform(0.06, 0.15)
        count = 1 if rng.random() < 0.5 else int(rng.integers(2, 7))
        self.writing = written(rng, of_digits(digits), [count], height, pen, touching=False)
        self.paper, self.ink = rng.uniform(200, 255), rng.uniform(0, 80)
        self.noise = rng.uniform(0, 4)
        self.text = "".join(str(letter.shape.value) for letter in self.writing.letters)
        self.picture = self._on_page(self._size())

    def _size(self) -> tuple[int, int]:
        rows, columns = self.writing.ink.shape
        margins = self.rng.uniform(0.5, 3, 2) * self.writing.height
        return rows + int(margins[0]), columns + int(margins[1])

    def _on_page(self, size: tuple[int, int]) -> Grey:
        """Return a page of that size with the digits anywhere on it."""
        sheet = np.zeros(size, np.float32)
        _place(self.rng, sheet, self.writing)
        levels = self.paper + sheet * (self.ink - self.paper)
        levels += self.noise * self.rng.standard_normal(size, np.float32)
        return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)

    def inverted(self) -> AnyPicture:
        """Return the picture with light for dark."""
        return 255 - self.picture

    def turned(self) -> AnyPicture:
        """Return a file that is stored turned or mirrored and says so, as cameras do."""
        orientation = int(self.rng.choice(list(TURNED)))
        return png(np.ascontiguousarray(TURNED[orientation](self.picture)), orientation)

    def scaled(self) -> AnyPicture:
        """Return the picture half to twenty times as large."""
        least, largest = SCALES
        largest = min(largest, LARGEST / max(self.picture.shape))
        scale = float(np.exp(self.rng.uniform(np.log(least), np.log(largest))))
        size = [max(1, round(side * scale)) for side in self.picture.shape[::-1]]
        method = cv2.INTER_AREA if scale < 1 else int(self.rng.choice(list(ENLARGED.values())))
        return np.asarray(cv2.resize(self.picture, size, interpolation=method), np.uint8)

    def shifted(self) -> AnyPicture:
        """Return the digits elsewhere, on a page of another size."""
        return self._on_page(self._size())


VARIANTS: dict[str, Callable[[Original], AnyPicture]] = {
    "inverted": Original.inverted,
    "turned": Original.turned,
    "scaled": Original.scaled,
    "shifted": Original.shifted,
}


def _place(rng: np.random.Generator, sheet: npt.NDArray[np.float32], writing: Writing) -> None:
    rows, columns = writing.ink.shape
    y = int(rng.integers(2, sheet.shape[0] - rows - 1))
    x = int(rng.integers(2, sheet.shape[1] - columns - 1))
    sheet[y : y + rows, x : x + columns] = writing.ink
