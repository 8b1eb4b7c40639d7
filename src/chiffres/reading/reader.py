"""The reader: anyone's picture in, the digits in it out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import SIDE
from chiffres.data.normalize import NEARLY_PAPER, is_normalized
from chiffres.data.strokes import CONTOUR, bounds
from chiffres.errors import UsageError
from chiffres.reading.choice import (
    all_is_read,
    better,
    beyond_bars,
    fills,
    is_clearer,
    other_is_better,
    without_rims,
)
from chiffres.reading.context import digits_only, mark_read, sole_digit
from chiffres.reading.ink import (
    NOISY,
    Floats,
    Ink,
    dark_ink,
    filling_ink,
    find_ink,
    frame_is_light,
)
from chiffres.reading.lattice import Found, Networks
from chiffres.reading.network import Network, StringNetwork, model_bytes
from chiffres.reading.page import Page, read_page
from chiffres.reading.picture import AnyPicture, Picture, Pixels, load
from chiffres.reading.result import ReadDigit, Reading
from chiffres.reading.segment import Piece
from chiffres.reading.shades import colour_alone, smoothed, to_shades
from chiffres.reading.usual import NO_DIGIT

LIKELY = 0.5
"""The confidence of a digit that is read for what is around it: sure digits, or nothing at all."""
SURE_IF_CUT = 0.82
"""The confidence from which on a digit that touches others is sure, at the latest: another network
answers for those, of whose answers from 0.6 to 0.7 92 % are right (validation part)."""
BESIDE = 0.01
"""Where no more than this share of finer strokes is beside sure digits, all of it is read."""
LEAST_LIKELY = 0.001
"""Less likely alternatives are not listed."""


class Reader:
    """Reads the digits in pictures; any number of threads may use one at once.

    Attributes:
        reject_below: the confidence, 0 to 1, below which a digit is not sure.
        likely: the confidence below which it is rejected even among sure ones, or where it is all
            that there is.
        possible: the same of a picture in MNIST's format, which is a digit or none.
        sure_if_cut: the confidence below which a digit that touches others is not sure.
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
            reject_below: the confidence below which every digit is rejected. By default a digit is
                sure from what the model's file says on, else 0.96, and is read from 0.5 on where
                the digits beside it are sure, or nothing else is in the picture, and from 0.3 on in
                a picture in MNIST's format.
            threads: how many the classifier computes on; 0 = as many as there are cores.

        Raises:
            UsageError: there is no such model, or ``reject_below`` is not from 0 to 1.
            MissingExtraError: the model has to be converted, and the extra is not installed.
            ModelFileError: the model is damaged, or no such classifier.
        """
        if reject_below is not None and not 0 <= reject_below <= 1:
            raise UsageError(f"reject_below = {reject_below}: expected a confidence, 0 to 1")
        self._network = Network(*model_bytes(model), threads=threads)
        self._networks = Networks(self._network, StringNetwork(threads=threads))
        self.reject_below = self._network.threshold if reject_below is None else reject_below
        self.likely, self.possible, self.sure_if_cut = (
            min(each, self.reject_below) if reject_below is None else reject_below
            for each in (LIKELY, NO_DIGIT, SURE_IF_CUT)
        )

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

    def page(self, picture: Picture, drawn: bool = False) -> Page:
        """Return all that was found in a picture, with the stages on the way.

        Args:
            picture: as ``load`` returns it.
            drawn: whether it is known to be dark strokes on a clean sheet: there is no other way
                to see them, and what is no digit is told in the time that a digit takes.
        """
        as_it_is = self._normalized(picture)
        if as_it_is:
            return as_it_is
        shades = to_shades(picture.pixels)
        if drawn:
            return self._page_of(dark_ink(shades), touching=True).with_sole()
        cut_out = self._cut_out(shades)
        if cut_out:
            return cut_out
        page = self._of_either_polarity(shades)
        if page.ink.noise > NOISY and not beyond_bars(page):
            page = better(self._of_either_polarity(to_shades(smoothed(picture.pixels))), page)
        return page if all_is_read(page) else self._in_colour(picture.pixels, page)

    def _in_colour(self, pixels: Pixels, page: Page) -> Page:
        """Return the page of what has a colour of its own, if more of the digits are seen there."""
        shades = colour_alone(pixels)
        if shades is None:
            return page
        coloured = self._of_either_polarity(shades)
        return coloured if is_clearer(coloured, page) else page

    def _cut_out(self, shades: Pixels) -> Page | None:
        """Return the page of a picture that digits fill, if there is nothing else on it."""
        filling = filling_ink(shades)
        if filling is None:
            return None
        ink, margin = filling
        page = self._judged(ink, touching=True)
        return page.within(margin) if self._holds_all(page, ink) and fills(page, margin) else None

    def _of_either_polarity(self, shades: Pixels) -> Page:
        pages: list[Page] = []
        for ink in find_ink(shades):
            pages.append(self._page_of(ink, touching=not (pages and ink.certain)))
            if ink.certain and (beyond_bars(pages[0]) or pages[0].sole):
                break
        likelier, *other = pages
        if other and other_is_better(other[0], likelier, self._is_sure):
            return other[0]
        return likelier.with_sole()

    def _page_of(self, ink: Ink, touching: bool) -> Page:
        """Return the page of an ink, or of its finer strokes where more is read in them."""
        page = self._judged(ink, touching)
        if ink.finer is None or (beyond_bars(page) and self._holds_all(page, ink.finer)):
            return page
        return better(without_rims(self._judged(ink.finer, touching), page), page)

    def _holds_all(self, page: Page, ink: Ink) -> bool:
        """Whether all that was found on a page are sure digits, with hardly any ink beside them."""
        if not all(map(self._is_sure, page.found)):
            return False
        inked = ink.map >= CONTOUR
        all_ink = np.count_nonzero(inked)
        for found in page.found:
            piece = found.piece
            inked[piece.top : piece.bottom, piece.left : piece.right] = False
        return bool(np.count_nonzero(inked) <= BESIDE * all_ink)

    def _judged(self, ink: Ink, touching: bool) -> Page:
        page = read_page(ink, self._networks, touching)
        kept = digits_only(page, self._is_sure)
        mark_read(kept, self._is_sure, self._is_likely)
        sole = None if kept else sole_digit(page, self._is_likely)
        return dataclasses.replace(page, lines=kept, sole=sole)

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
        found.read = found.confidence >= self.possible
        lines = [[found]] if found.read else []
        return Page(Ink(digit, digit, 0, 255 - digit, dark, certain=True), digit, lines, [found])

    def _is_sure(self, found: Found) -> bool:
        return found.confidence >= (self.sure_if_cut if found.cut_from else self.reject_below)

    def _is_likely(self, found: Found) -> bool:
        return found.confidence >= self.likely

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
            int(likeliest[0]) if found.read else None,
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
