"""The reader: anyone's picture in, the digits in it out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import SIDE
from chiffres.data.normalize import NEARLY_PAPER, is_normalized
from chiffres.data.strokes import CONTOUR, bounds
from chiffres.errors import UsageError
from chiffres.reading.context import digits_only, mark_read, sole_digit
from chiffres.reading.ink import (
    NOISY,
    SPANNING,
    Floats,
    Ink,
    dark_ink,
    filling_ink,
    find_ink,
    frame_is_light,
    smoothed,
    to_shades,
)
from chiffres.reading.lattice import Found, Networks, union
from chiffres.reading.network import Network, StringNetwork, model_bytes
from chiffres.reading.page import STICK, Page, read_page
from chiffres.reading.picture import AnyPicture, Picture, Pixels, load
from chiffres.reading.result import ReadDigit, Reading
from chiffres.reading.segment import Piece
from chiffres.reading.usual import NO_DIGIT

MORE = 1.05
"""What is read in ink that was seen otherwise is so much more, at least."""
LIKELY = 0.5
"""The confidence of a digit that is read for what is around it: sure digits, or nothing at all."""
SURE_IF_CUT = 0.82
"""The confidence from which on a digit that touches others is sure, at the latest: another network
answers for those, of whose answers from 0.6 to 0.7 92 % are right (validation part)."""
SURELY_MORE = 1
"""In the polarity that was thought the wrong one, if it is not, there are more digits by more than
this: between strokes and within loops one may be found."""
BESIDE = 0.01
"""Where no more than this share of finer strokes is beside sure digits, all of it is read."""
BROADEST = 0.3
"""The pen of a digit is at most this share of its height."""
SOLID = 0.55
"""What is no digit and has strokes this share of its width, or of its height, is a solid thing."""
SAME = 0.7
"""Two finds are of the same thing where each covers so much of the other."""
FINE, INNER = 0.2, 0.3
"""A digit of a pen this share of its height, this share of the height of what it is in, is written
on that, which is light paper on something dark, or dark paper."""
FAR_STRONGER = 1.5
"""How many times as strong as what is beside its strokes a digit is, or as between them."""
LEAST_LIKELY = 0.001
"""Less likely alternatives are not listed."""


class Reader:
    """Reads the digits in pictures; any number of threads may use one at once.

    Attributes:
        reject_below: the confidence, 0 to 1, below which a digit is not sure.
        likely: the confidence below which it is rejected even among sure ones, or where it is all
            that there is.
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
                the digits beside it are sure, or nothing else is in the picture.
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
        self.likely, self.sure_if_cut = (
            min(each, self.reject_below) if reject_below is None else reject_below
            for each in (LIKELY, SURE_IF_CUT)
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
        if page.ink.noise <= NOISY or _beyond_bars(page):
            return page
        return _better(self._of_either_polarity(to_shades(smoothed(picture.pixels))), page)

    def _cut_out(self, shades: Pixels) -> Page | None:
        """Return the page of a picture that digits fill, if there is nothing else on it."""
        filling = filling_ink(shades)
        if filling is None:
            return None
        ink, margin = filling
        page = self._judged(ink, touching=True)
        return page.within(margin) if self._holds_all(page, ink) and _fills(page, margin) else None

    def _of_either_polarity(self, shades: Pixels) -> Page:
        pages: list[Page] = []
        for ink in find_ink(shades):
            pages.append(self._page_of(ink, touching=not (pages and ink.certain)))
            if ink.certain and (_beyond_bars(pages[0]) or pages[0].sole):
                break
        likelier, *other = pages
        if other and self._is_better(other[0], likelier):
            return other[0]
        return likelier.with_sole()

    def _page_of(self, ink: Ink, touching: bool) -> Page:
        """Return the page of an ink, or of its finer strokes where more is read in them."""
        page = self._judged(ink, touching)
        if ink.finer is None or (_beyond_bars(page) and self._holds_all(page, ink.finer)):
            return page
        return _better(_without_rims(self._judged(ink.finer, touching), page), page)

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
        found.read = self._is_likely(found)
        lines = [[found]] if found.read else []
        return Page(Ink(digit, digit, 0, 255 - digit, dark, certain=True), digit, lines, [found])

    def _is_sure(self, found: Found) -> bool:
        return found.confidence >= (self.sure_if_cut if found.cut_from else self.reject_below)

    def _is_likely(self, found: Found) -> bool:
        return found.confidence >= self.likely

    def _is_better(self, page: Page, likelier: Page) -> bool:
        """Whether the ink of the less likely polarity is to be read."""
        digits, others = (
            [each for each in some.found if self._is_sure(each) and _is_plausible(each)]
            for some in (likelier, page)
        )
        digits = [each for each in digits if not _is_written_on(each, others)]
        read = [each for each in _all_read(page) if not _is_outline(each, digits)]
        beside = [
            each
            for each in _all_read(likelier)
            if not _is_faint_outline(each, others) and not _is_written_on(each, others)
        ]
        if likelier.ink.certain:
            more, most = (sum(each.digit != STICK for each in some) for some in (read, beside))
            return more > most + SURELY_MORE
        return 0.5 * _ink_read(read) > _ink_read(beside)

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


def _all_read(page: Page) -> list[Found]:
    return [each for line in page.lines for each in line if each.read]


def _fills(page: Page, margin: int) -> bool:
    """Whether what is read on a page is as high as all that is within its margin.

    A bar alone has paper on both sides, or it may be what lies beside the paper.
    """
    read = _all_read(page)
    if not read or any(each.pen > BROADEST * each.piece.height for each in read):
        return False
    whole = union([each.piece for each in read])
    height, width = page.clean.shape
    beside = min(whole.left, width - whole.right) > margin
    return whole.height >= SPANNING * (height - 2 * margin) and (beside or _beyond_bars(page))


def _beyond_bars(page: Page) -> bool:
    """Whether there is more than bars.

    They alone are found in the wrong polarity, too, and may be the edges of a shadow.
    """
    return any(each.digit != STICK for line in page.lines for each in line)


def _better(other: Page, page: Page) -> Page:
    """Return ``other``, seen otherwise, if more is read there, and that is not mostly bars."""
    read, before = (_plausibly_read(each.with_sole()) for each in (other, page))
    bars = sum(each.digit == STICK for each in read)
    return other if 2 * bars <= len(read) and _ink_read(read) > MORE * _ink_read(before) else page


def _without_rims(finer: Page, page: Page) -> Page:
    """Return a page of finer strokes without what is the rim of something solid.

    Args:
        finer: the page.
        page: the same with the broad strokes: a disc is whole there.
    """
    solid = [each.piece for each in page.found if _is_solid(each)]
    lines = [
        [each for each in line if not any(_is_same(each.piece, other) for other in solid)]
        for line in finer.lines
    ]
    return dataclasses.replace(finer, lines=[line for line in lines if line])


def _is_solid(found: Found) -> bool:
    """Whether a find is a disc or a block, and no digit."""
    least = SOLID * min(found.piece.width, found.piece.height)
    return found.confidence < NO_DIGIT and found.pen > least


def _is_same(piece: Piece, other: Piece) -> bool:
    return min(piece.share_in(other), other.share_in(piece)) > SAME


def _plausibly_read(page: Page) -> list[Found]:
    """Return what was read on a page, what is likely to be a shadow left out."""
    return [each for each in _all_read(page) if _is_plausible(each)]


def _is_plausible(found: Found) -> bool:
    """Whether a find is a whole piece, and no broader than what a pen draws."""
    return not found.cut_from and found.pen <= BROADEST * found.piece.height


def _is_outline(found: Found, others: Sequence[Found]) -> bool:
    """Whether what was found is a part of the paper's edge around the ink of a taller digit."""
    return any(
        other.piece.height > found.piece.height and not _is_far_stronger(found, other)
        for other in _overlapping(found, others)
    )


def _is_faint_outline(found: Found, others: Sequence[Found]) -> bool:
    """Whether what was found is by or between the strokes of a digit that is far stronger."""
    return any(_is_far_stronger(other, found) for other in _overlapping(found, others))


def _is_written_on(found: Found, others: Sequence[Found]) -> bool:
    """Whether what was found is the paper that a digit is written on."""
    return any(
        found.piece.contains(other.piece)
        and other.digit != STICK
        and other.pen < FINE * other.piece.height
        and other.piece.height > INNER * found.piece.height
        for other in others
    )


def _overlapping(found: Found, others: Sequence[Found]) -> list[Found]:
    return [other for other in others if found.piece.share_in(other.piece) > 0]


def _is_far_stronger(found: Found, other: Found) -> bool:
    return found.strength > FAR_STRONGER * other.strength


def _ink_read(read: Sequence[Found]) -> float:
    """Return how much of a page was read, to choose between its polarities by."""
    return sum(
        (0.01 if each.digit == STICK else 1) * each.confidence * math.sqrt(each.piece.height)
        for each in read
    )
