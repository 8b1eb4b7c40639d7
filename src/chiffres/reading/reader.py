"""The reader: anyone's picture in, the digits in it out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import SIDE
from chiffres.errors import UsageError
from chiffres.reading.context import digits_only
from chiffres.reading.ink import Floats, Ink, find_ink, frame_is_light, to_shades
from chiffres.reading.lattice import Found
from chiffres.reading.network import Network, model_bytes
from chiffres.reading.normalize import NEARLY_PAPER, bounds, is_normalized
from chiffres.reading.page import STICK, Page, read_page
from chiffres.reading.picture import AnyPicture, Picture, load
from chiffres.reading.result import ReadDigit, Reading
from chiffres.reading.segment import Piece

LEAST_LIKELY = 0.001
"""Less likely alternatives are not listed."""


class Reader:
    """Reads the digits in pictures; any number of threads may use one at once.

    Attributes:
        reject_below: the confidence, 0 to 1, below which a digit is rejected.
    """

    def __init__(
        self,
        model: str | Path | bytes | None = None,
        reject_below: float | None = None,
        threads: int = 0,
    ) -> None:
        """Load the classifier.

        Args:
            model: by default the one that comes with Chiffres; else a run folder, a ``.keras`` or
                an ``.h5`` file (which need the extra ``train``), or the path or the bytes of an
                ONNX file from ``(n, 28, 28)`` uint8 to ``(n, 10)`` float32.
            reject_below: by default what the model's file says, else 0.96.
            threads: how many the classifier computes on; 0 = as many as there are cores.

        Raises:
            UsageError: there is no such model, or ``reject_below`` is not from 0 to 1.
            MissingExtraError: the model has to be converted, and the extra is not installed.
            ModelFileError: the model is damaged, or no such classifier.
        """
        if reject_below is not None and not 0 <= reject_below <= 1:
            raise UsageError(f"reject_below = {reject_below}: expected a confidence, 0 to 1")
        self._network = Network(*model_bytes(model), threads=threads)
        self.reject_below = self._network.threshold if reject_below is None else reject_below

    def read(self, picture: AnyPicture) -> Reading:
        """Read the digits in a picture.

        Args:
            picture: a path, the bytes of an image file, a Pillow image or an array; see
                :func:`chiffres.reading.picture.load`.

        Raises:
            ImageError: the picture cannot be read.
        """
        loaded = load(picture)
        return self.reading(loaded, self.page(loaded))

    def page(self, picture: Picture) -> Page:
        """Return all that was found in a picture, with the stages on the way."""
        as_it_is = self._normalized(picture)
        if as_it_is:
            return as_it_is
        pages = []
        for ink in find_ink(picture.pixels):
            page = read_page(ink, self._network)
            kept = digits_only(page, self._accepts)
            pages.append(dataclasses.replace(page, lines=kept))
        if not pages:
            blank = np.zeros(picture.pixels.shape[:2], np.uint8)
            return Page(Ink(blank, blank, 0, dark=True), blank, [])
        first, *others = (self._ink_read(page) * (1 if page is pages[0] else 0.5) for page in pages)
        return pages[0] if first >= max(others, default=0) else pages[1]

    def _normalized(self, picture: Picture) -> Page | None:
        """Return the page of a picture that is in MNIST's format already."""
        if picture.pixels.shape[:2] != (SIDE, SIDE):
            return None
        shades = to_shades(picture.pixels)
        dark = frame_is_light(shades)
        digit = 255 - shades if dark else shades
        if not is_normalized(digit):
            return None
        top, bottom, left, right = bounds(digit > NEARLY_PAPER)
        piece = Piece((1,), left, top, right, bottom, 0)
        found = Found(piece, digit, self.classify(digit[None])[0], 255, 1)
        return Page(Ink(digit, digit, 0, dark), digit, [[found]])

    def _accepts(self, found: Found) -> bool:
        return found.confidence >= self.reject_below

    def _ink_read(self, page: Page) -> float:
        """Return how much of a page was read, to choose between its polarities by."""
        return sum(
            found.piece.height**2 * found.confidence * (0.01 if found.digit == STICK else 1)
            for line in page.lines
            for found in line
            if self._accepts(found)
        )

    def reading(self, picture: Picture, page: Page) -> Reading:
        """Return what was found on a page as a reading of the picture."""
        lines = [[self._digit(found, picture) for found in line] for line in page.lines]
        lines = [line for line in lines if any(digit.value is not None for digit in line)]
        return Reading(
            tuple("".join(digit.text for digit in line) for line in lines),
            tuple(digit for line in lines for digit in line),
        )

    def _digit(self, found: Found, picture: Picture) -> ReadDigit:
        across, down = picture.scale
        left, right = (round(edge * across) for edge in (found.piece.left, found.piece.right))
        top, bottom = (round(edge * down) for edge in (found.piece.top, found.piece.bottom))
        likeliest = np.argsort(-found.probabilities, kind="stable")
        return ReadDigit(
            int(likeliest[0]) if self._accepts(found) else None,
            found.confidence,
            (left, top, max(1, right - left), max(1, bottom - top)),
            tuple(
                (int(digit), float(found.probabilities[digit]))
                for digit in likeliest
                if found.probabilities[digit] >= LEAST_LIKELY
            ),
        )

    def classify(self, images: npt.NDArray[np.uint8]) -> Floats:
        """Return the probabilities of the ten digits for images in MNIST's format.

        Args:
            images: ``(n, 28, 28)`` uint8, 0 = background, 255 = ink.

        Returns:
            ``(n, 10)`` float32, each row 0 to 1 with the sum 1.

        Raises:
            UsageError: the images have another shape or type.
        """
        images = np.asarray(images)
        if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
            raise UsageError(
                f"images {images.shape} of {images.dtype}: expected (n, 28, 28) of uint8"
            )
        return self._network(images)
