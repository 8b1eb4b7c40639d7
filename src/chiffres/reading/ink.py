"""From a picture to its ink: light on dark as in MNIST, whatever the paper, the light, the pen.

Colours become the one shade in which the writing stands out most. The paper behind the writing is
estimated by a morphological closing, which fills strokes and keeps shadows and edges; ink is how
far a pixel is from its paper, relative to the strongest ink around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.image import frame
from chiffres.data.strokes import CONTOUR, bounds
from chiffres.reading.components import Labels, components
from chiffres.reading.morphology import closed, dilated, eroded
from chiffres.reading.picture import Pixels
from chiffres.reading.shades import COARSE, shrunk

Floats = npt.NDArray[np.float32]

FINE_STROKE, BROAD_STROKE = 0.12, 0.5
"""The widest stroke that the two estimates of the paper fill, as a share of the shorter side.

The fine one follows shadows; the broad one, twice as wide as any stroke, is for a digit that
fills its picture."""
OF_PEAK = 0.4
"""Ink begins at this share of the strongest ink nearby, which leaves shadows and bleeding out."""
OF_ALL = 0.15
"""Ink begins at this share of the strongest ink anywhere, at least."""
FAINTEST = 9.0
"""Nor is anything ink that differs from its paper by fewer grey levels (of 255)."""
DEVIATIONS, FEWER_DEVIATIONS = 5.0, 2.5
"""Nor by fewer standard deviations of the paper's noise than the first; what is connected with
such ink begins at the second."""
MOSTLY = 0.25
"""Of what is so connected, this share is ink beyond doubt."""
NOISY, LARGE = 5.0, 64
"""Where the noise of the paper is more grey levels than the first, a picture whose shorter side is
more pixels than the second is smoothed: its strokes are wide enough."""
WHOLE = 0.95
"""The share of a stroke that the fine estimate has to find for it to be trusted."""
FRAME = 0.1
"""How much the frame of the picture counts beside the share of dark in the surroundings."""
UNSURE = 0.15
"""How near to a half that share may be before both polarities are worth a look."""
DETAIL, DARKER = 0.3, 1.08
"""A wide dark thing is a shadow where most of it is paper to the fine estimate, and what that finds
in it, at least the first share of its depth, is the second number of times as dark: writing."""
SMOOTH = 24
"""By no more grey levels does the light change within the reach of a stroke from the border."""
FILLING, SPANNING, APART = (0.1, 0.65), 0.75, 0.75
"""Ink fills its picture where it is such a share of it, least and most, reaches over such a share
of its height, and such a share of the variance of the shades is between ink and paper."""
OF_FRAME, PARTS = 0.5, 20
"""Then no more than this share of the picture's frame is ink, nor is it in more parts."""
MARGIN = 0.25
"""The margin that such a picture is given, as a share of its longer side."""
SHARP = 0.7
"""Within the width of a fine stroke an edge of ink has this share of the ink's depth."""


class Ink(NamedTuple):
    """One way to see what is written.

    ``map`` is ``(height, width)`` uint8: 0 = paper, ``CONTOUR`` where ink begins, 255 = full ink,
    compared with the ink around. ``contrast`` is, likewise, how many grey levels each pixel is from
    the paper, and ``noise`` the standard deviation of the paper's own levels. ``shades`` is the
    picture itself, turned so that the ink is darker than the paper. ``dark`` says whether
    it was, ``certain`` whether that is beyond doubt if digits are found.
    ``finer`` is the same ink without its broad strokes, where there are any: those may as well be
    shadows, or the light between them.
    """

    map: Pixels
    contrast: Pixels
    noise: float
    shades: Pixels
    dark: bool
    certain: bool
    finer: Ink | None = None

    def within(self, margin: int) -> Ink:
        """Return the ink, the finer one left out, without a margin, ``margin`` pixels wide."""
        map_, contrast, shades = (
            each[margin:-margin, margin:-margin] for each in (self.map, self.contrast, self.shades)
        )
        return self._replace(map=map_, contrast=contrast, shades=shades, finer=None)


@dataclass(frozen=True)
class _Coarse:
    """A reduced picture and how wide its widest strokes are taken to be, in its pixels."""

    shades: Pixels
    fine: int
    broad: int


def find_ink(shades: Pixels) -> Iterator[Ink]:
    """Yield the ink in a picture, in the likelier polarity first, then in the other.

    Args:
        shades: ``(height, width)`` uint8, as ``to_shades`` returns it.
    """
    as_it_is = _coarse(shades)
    dark, certain = polarity(as_it_is)
    for each in (dark, not dark):
        turned = shades if each else 255 - shades
        yield _ink(turned, as_it_is if each else _coarse(turned), each, certain)


def dark_ink(shades: Pixels) -> Ink:
    """Return the ink in a picture of which it is known that it is darker than the paper."""
    return _ink(shades, _coarse(shades), dark=True, certain=True)


def filling_ink(shades: Pixels) -> tuple[Ink, int] | None:
    """Return the ink of writing that fills its picture, as if it were cut out of a wider one.

    Where most of a picture is ink, and strokes end with it, its paper cannot be estimated from
    what is around them. Of two plain shades it need not be: it is the other one.

    Returns:
        The ink with a margin of paper around it, and how many pixels wide that is; None where the
        picture is not of two shades, or has room around its ink.
    """
    coarse = _coarse(shades)
    _, light = cv2.threshold(coarse.shades, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    means = [cv2.mean(coarse.shades, mask)[0] for mask in (light, 1 - light)]
    share = cv2.mean(light)[0]
    if share * (1 - share) * (means[0] - means[1]) ** 2 < APART * coarse.shades.var():
        return None
    dark, _ = polarity(coarse)
    inked = light == (not dark)
    if not FILLING[0] <= inked.mean() <= FILLING[1] or frame(inked).mean() > OF_FRAME:
        return None
    top, bottom, _, _ = bounds(inked)
    if bottom - top < SPANNING * len(inked) or components(inked.view(np.uint8))[0] > PARTS + 1:
        return None
    margin = max(2, round(MARGIN * max(shades.shape)))
    sides = (margin, margin, margin, margin)
    turned, small = (each if dark else 255 - each for each in (shades, coarse.shades))
    paper = float(np.median(small[~inked]))
    around = cv2.copyMakeBorder(turned, *sides, cv2.BORDER_CONSTANT, value=paper)
    return dark_ink(around)._replace(dark=dark), margin


def _ink(shades: Pixels, coarse: _Coarse, dark: bool, certain: bool) -> Ink:
    """Return what is dark in ``shades`` as ink, which was dark in the picture or was not."""
    fine, whole = _papers(coarse)
    finer = Ink(*_ink_map(shades, coarse, fine), shades, dark, certain)
    if whole is None:
        return finer
    return Ink(*_ink_map(shades, coarse, whole), shades, dark, certain, finer)


def _coarse(shades: Pixels) -> _Coarse:
    small = shrunk(shades, max(COARSE, round(0.3 * COARSE * max(shades.shape) / min(shades.shape))))
    side = min(small.shape)
    return _Coarse(small, _odd(FINE_STROKE * side), _odd(BROAD_STROKE * side))


def _odd(size: float) -> int:
    return max(3, 2 * round(size / 2) + 1)


def polarity(coarse: _Coarse) -> tuple[bool, bool]:
    """Return whether the ink is dark, and whether that is beyond doubt.

    Ink is the smaller part of its surroundings, within the reach of strokes of several widths, and
    the frame of a picture is mostly paper.
    """
    sizes = (coarse.fine, 2 * coarse.fine + 1, coarse.broad)
    share = float(np.mean([_dark_share(coarse.shades, size) for size in sizes]))
    share += -FRAME if frame_is_light(coarse.shades) else FRAME
    return share < 0.5, abs(share - 0.5) > UNSURE


def _dark_share(shades: Pixels, size: int) -> float:
    """Return which share of the surroundings of strokes, up to ``size`` wide, is dark."""
    light, dark = dilated(shades, size, size), eroded(shades, size, size)
    contrast = cv2.subtract(light, dark)
    written = contrast > 0.5 * float(contrast.max())
    darker = written & (shades < cv2.addWeighted(light, 0.5, dark, 0.5, 0))
    count = np.count_nonzero(written)
    return np.count_nonzero(darker) / count if count else 0.5


def frame_is_light(shades: Pixels) -> bool:
    """Whether the frame of a picture, mostly paper, is lighter than the middle of its shades."""
    low, high = _percentiles(shades, 1, 99)
    return _percentiles(frame(shades), 50)[0] > (low + high) / 2


def _closed(shades: Pixels, size: int) -> Pixels:
    """Close dark strokes up to ``size`` wide, as if the light went on changing past the border.

    Without more picture beyond it, the dark end of a shadow would count as a stroke.
    """
    around = (size, size, size, size)
    beyond = cv2.copyMakeBorder(shades, *around, cv2.BORDER_REFLECT)
    border = cv2.copyMakeBorder(shades, *around, cv2.BORDER_REPLICATE)
    further = cv2.addWeighted(border, 2, beyond, -1, 0)
    is_stroke = cv2.compare(cv2.absdiff(border, beyond), SMOOTH, cv2.CMP_GT)
    cv2.copyTo(border, is_stroke, further)
    height, width = shades.shape
    further[size : size + height, size : size + width] = shades
    return closed(further, size, size)[size : size + height, size : size + width]


def _ink_map(shades: Pixels, coarse: _Coarse, paper: Pixels) -> tuple[Pixels, Pixels, float]:
    """Return map, contrast and noise of an ``Ink`` that is dark in ``shades``."""
    height, width = shades.shape
    distance = cv2.subtract(paper, coarse.shades)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    floor, noise = _noise(shades, paper)
    if noise > NOISY and min(shades.shape) > LARGE:
        shades = np.asarray(cv2.GaussianBlur(shades, (3, 3), 0), np.uint8)
        distance = np.asarray(cv2.GaussianBlur(distance, (3, 3), 0), np.uint8)
        floor, noise = _noise(shades, paper)
    least = np.asarray(OF_PEAK * _peaks(distance, coarse), np.uint8)
    least = cv2.resize(least, (width, height), interpolation=cv2.INTER_LINEAR)
    distance = cv2.subtract(paper, shades)
    beyond_doubt = cv2.max(least, max(FAINTEST, DEVIATIONS * noise) + floor)
    ink = cv2.divide(distance, beyond_doubt, scale=CONTOUR)
    least = cv2.max(least, max(FAINTEST, FEWER_DEVIATIONS * noise) + floor)
    return _continued(ink, cv2.divide(distance, least, scale=CONTOUR)), distance, noise


def _continued(ink: Pixels, likely: Pixels) -> Pixels:
    """Return an ink map in which strokes go on where they are likely to (hysteresis).

    Source: J. Canny, A Computational Approach to Edge Detection, IEEE PAMI 8 (6), 1986.

    Args:
        ink: the map of what is ink beyond doubt.
        likely: the map of what may be.
    """
    inked = likely >= CONTOUR
    count, labels, stats = components(inked.view(np.uint8))
    where = np.flatnonzero(inked)
    label = labels.ravel()[where]
    seen = np.bincount(label, ink.ravel()[where] >= CONTOUR, count)
    where = where[(seen >= MOSTLY * stats[:, cv2.CC_STAT_AREA])[label]]
    ink.ravel()[where] = likely.ravel()[where]
    return ink


def _papers(coarse: _Coarse) -> tuple[Pixels, Pixels | None]:
    """Return the paper behind fine strokes, and behind all, if there are others.

    It is ``coarse.shades`` without its dark strokes. What strokes of each width are, is first
    looked at with the next wider kernel: where that finds a stroke, dark and with sharp edges, of
    which the finer kernel has taken a part for paper, it is right.
    """
    smooth = cv2.GaussianBlur(coarse.shades, (3, 3), 0)
    fine = paper = _closed(smooth, coarse.fine)
    finer = coarse.fine
    lightest = min(255, int(smooth.max()) + SMOOTH)
    darker = (smooth < lightest - FAINTEST).view(np.uint8)
    for size in (2 * coarse.fine + 1, coarse.broad):
        if not _cores(darker, finer).any():
            break  # no stroke is as wide: any other paper would be as good
        wider = _closed(smooth, size)
        missed = _missed(coarse, cv2.subtract(paper, smooth), cv2.subtract(wider, smooth), finer)
        if missed.any():
            paper = np.where(missed > 0, wider, paper)
        finer = size
    return _blurred(fine), None if paper is fine else _blurred(paper)


def _blurred(paper: Pixels) -> Pixels:
    return np.asarray(cv2.blur(paper, (3, 3)), np.uint8)


def _missed(coarse: _Coarse, finer: Pixels, wider: Pixels, size: int) -> Pixels:
    """Return a mask of the strokes that the finer estimate of the paper takes for paper in part.

    Args:
        coarse: the picture.
        finer: how much darker than the finer estimate each pixel is.
        wider: likewise, than the wider one.
        size: of the kernel of the finer estimate; a stroke that it misses is about as wide.
    """
    strong = (wider > max(FAINTEST, 0.5 * _percentiles(wider, 99.5)[0])).view(np.uint8)
    count, labels, stats = components(strong)
    where = np.flatnonzero(labels)
    label = labels.ravel()[where]
    fine, broad = (each.ravel()[where] for each in (finer, wider))
    area = stats[:, cv2.CC_STAT_AREA]
    chosen = np.bincount(label, fine > 0.7 * broad, count) / area < WHOLE
    chosen[0] = False
    if chosen.any():
        depth = np.bincount(label, broad, count) / area
        light, dark = (op(coarse.shades, coarse.fine, coarse.fine) for op in (dilated, eroded))
        edge = cv2.subtract(light, dark).ravel()[where]
        rim = cv2.erode(strong, np.ones((3, 3), np.uint8)).ravel()[where] == 0
        length = np.maximum(1, np.bincount(label, rim, count))
        sharp = np.bincount(label, rim * edge, count) / length > SHARP * depth
        thick = np.bincount(label, _cores(strong, size).ravel()[where], count) > 0
        chosen &= sharp & thick & ~_are_shadows(fine, broad, label, area)
    return np.asarray(cv2.dilate(chosen[labels].view(np.uint8), np.ones((5, 5), np.uint8)))


def _cores(inked: Pixels, size: int) -> Pixels:
    """Return a mask of the cores of strokes of which a kernel of ``size`` may miss a part."""
    return np.asarray(cv2.erode(inked, np.ones((size * 2 // 3, size * 2 // 3), np.uint8)))


def _are_shadows(
    finer: Pixels, wider: Pixels, labels: Labels, area: Labels
) -> npt.NDArray[np.bool_]:
    """Whether what was labelled is a shadow with writing in it.

    Args:
        finer: as above, of the pixels that were labelled.
        wider: likewise.
        labels: theirs.
        area: the pixels of each label.
    """
    depth = wider.astype(np.float32)
    detail, flat = finer > DETAIL * depth, finer < DETAIL / 2 * depth
    details, flats = (np.bincount(labels, part, len(area)) for part in (detail, flat))
    written, shade = (
        np.bincount(labels, part * depth, len(area)) / np.maximum(1, size)
        for part, size in ((detail, details), (flat, flats))
    )
    return np.asarray((flats > 0.5 * area) & (written > DARKER * shade))


def _peaks(distance: Pixels, coarse: _Coarse) -> Floats:
    """Return how strong ink is near each pixel, at most, and ``OF_ALL`` of all ink at least."""
    around = dilated(distance, coarse.fine, coarse.fine)
    around = cv2.blur(around, (coarse.fine, coarse.fine))
    return np.asarray(np.maximum(around, OF_ALL / OF_PEAK * distance.max()), np.float32)


def _noise(shades: Pixels, paper: Pixels) -> tuple[float, float]:
    """Return how far below its estimate paper lies, and the standard deviation of that.

    The estimate is too light by some noise, for a closing takes the lightest. Ink is far on one
    side, so the deviation is taken from the other.
    """
    step = max(1, round(math.sqrt(shades.size / 40_000)))
    sample = np.subtract(paper[::step, ::step], shades[::step, ::step], dtype=np.int16)
    low, middle = _percentiles(sample, 16, 50)
    return max(0.0, middle), middle - low


def _percentiles(values: npt.NDArray[Any], *shares: float) -> list[float]:
    """Return what ``np.percentile`` does, of grey levels: faster, by counting.

    Args:
        values: one or two dimensions, uint8, or int16 of -255 to 255.
        shares: 0 to 100.
    """
    lowest, levels = (0, 256) if values.dtype == np.uint8 else (-255, 511)
    from_0 = values if lowest == 0 else (values - lowest).astype(np.uint16)
    upto = cv2.calcHist([from_0], [0], None, [levels], [0, levels]).ravel().astype(int).cumsum()
    ranks = np.array(shares) / 100 * (values.size - 1)
    below = np.floor(ranks)
    low, high = (np.searchsorted(upto, rank, side="right") for rank in (below, np.ceil(ranks)))
    return [float(each) for each in lowest + low + (ranks - below) * (high - low)]
