"""The printed lines of the paper, ruled, squared or a form's, taken out of an ink map.

A rule is a run of ink along the picture, thin, nearly straight and longer than any stroke of a
digit, or a side of a box to write in. Only where nothing crosses it is it taken away, so that the
strokes on it stay whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.normalize import usual_pen
from chiffres.data.strokes import CONTOUR
from chiffres.reading.boxes import FAINT, find_sides
from chiffres.reading.components import components
from chiffres.reading.morphology import closed
from chiffres.reading.picture import Pixels
from chiffres.reading.straight import Straight

Doubles = npt.NDArray[np.float64]

RUN = 0.012
"""The pieces that a rule is found by, as a share of its direction's side of the picture."""
SAMPLES = 8
"""At so many columns of a piece it is looked where it goes on; in large pictures these are few."""
SHORTEST = 9
"""The shortest such piece, in pixels; nor is it shorter than twice the width of strokes."""
BRIDGED = 0.12
"""Where a broad stroke crosses it, a rule has a gap, full of ink, as a share of the side."""
WHOLE, WHOLE_UPRIGHT, PART = 0.9, 0.97, 0.3
"""A rule is this share of the side long, or the last where there are several parallel ones."""
OF_BOX = 3
"""A side of a box to write in is as long as so many of the pieces that it is found by."""
UNBROKEN = 0.7
"""There is ink along this share of a rule, at least."""
THIN, THINNER = 12, 25
"""How many times its own width a rule is long, whole or part."""
STEEPEST = 0.25
"""How much a rule may rise, in pixels per pixel."""
CROSSED = 1.7
"""Where the ink along a rule is this many times as wide as the rule, something crosses it."""
STRONGER = 1.4
"""Where it is this many times as strong as around, a stroke lies along it."""
FITS = 4
"""How often a line is fitted, each time to the nearer half of what it is made of."""
LEAST_SIDE = 64
"""In a smaller picture, in pixels, a line from side to side is as short as a stroke."""
MOST = 120
"""More pieces than this are a texture, and cost time."""


def without_rules(ink: Pixels) -> Pixels:
    """Return an ink map without the printed lines along and across it.

    Args:
        ink: ``(height, width)`` uint8, ink from ``CONTOUR`` on.
    """
    lying, upright = find_rules(ink)
    ink = _without(_without(ink, lying).T, upright).T
    return np.ascontiguousarray(ink)


def find_rules(ink: Pixels) -> tuple[list[Straight], list[Straight]]:
    """Return the rules from left to right, and those from top to bottom as if it lay on its side.

    A tall 1 looks like one of the latter, so of them the whole height is asked for, or several.
    """
    inked = (ink >= FAINT).view(np.uint8)
    pen = usual_pen(ink)
    down, along = (round(max(SHORTEST, 2 * pen, RUN * side)) for side in ink.shape)
    thick = round(2 * pen) + 3
    # a pixel wider on each side, a fine line that is not quite level has longer runs; what is
    # thicker than a line is left out, so that neither digits nor crossing lines connect two
    lying, upright = (cv2.dilate(inked, np.ones(size, np.uint8)) for size in ((3, 1), (1, 3)))
    lying = _opened(lying, (1, along)) & ~_opened(lying, (thick, 1))
    upright = _opened(upright, (down, 1)) & ~_opened(upright, (1, thick))
    across = _straight(lying, ink, along)
    downwards = _straight(np.ascontiguousarray(upright.T), ink.T, down)
    sides, upright_sides = find_sides(across, downwards, ink)
    return (
        _together(_long(across, ink, WHOLE), sides),
        _together(_long(downwards, ink.T, WHOLE_UPRIGHT), upright_sides),
    )


def _together(long: list[Straight], sides: list[Straight]) -> list[Straight]:
    """Return both, each line once: on squared paper the rules are sides, too."""
    return long + [side for side in sides if not any(side is line for line in long)]


def _long(lines: Sequence[Straight], ink: Pixels, whole: float) -> list[Straight]:
    """Return the lines as long as the picture, and long ones among others that are like them.

    Along the tops of digits there may be a line, too, but not so much ink.
    """
    side = ink.shape[1]
    long = [line for line in lines if line.length >= PART * side and _inked(line, ink) >= UNBROKEN]
    return [
        line
        for line in long
        if line.length >= whole * side
        or (line.length >= THINNER * line.width and sum(line.is_like(other) for other in long) > 1)
    ]


def _inked(line: Straight, ink: Pixels) -> float:
    """Return along which share of a line, which lies from left to right, there is ink."""
    rows = np.rint(line.rows).astype(int).clip(0, ink.shape[0] - 1)
    return float((ink[rows, np.arange(line.start, line.stop)] >= FAINT).mean())


def _closed(runs: Pixels, reach: int) -> Pixels:
    """Return the map of runs with gaps of up to twice the reach filled."""
    return closed(runs, 3, 2 * reach + 1)


def _opened(inked: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.morphologyEx(inked, cv2.MORPH_OPEN, np.ones(size, np.uint8)))


def _straight(runs: Pixels, ink: Pixels, run: int) -> list[Straight]:
    """Return the lines in a map of runs, 0 or 1, that lie from left to right."""
    side, least = runs.shape[1], OF_BOX * run
    if side < LEAST_SIDE or cv2.countNonZero(runs) < least:
        return []
    step = max(1, run // SAMPLES)
    seen, inked = np.ascontiguousarray(runs[:, ::step]), ink[:, ::step] >= FAINT
    bridged = _closed(seen, round(BRIDGED / 2 * side / step)) & inked
    _, labels, stats = components(_closed(seen, round(run / step)) | bridged)
    widths = step * stats[1:, cv2.CC_STAT_WIDTH]
    long = np.flatnonzero(widths >= least) + 1
    if len(long) > MOST:
        long = np.flatnonzero(widths >= PART * side) + 1
    if len(long) > MOST:
        return []
    found = (_fitted(labels, stats[label], label, ink, step) for label in long)
    return [rule for rule in found if rule is not None]


def _fitted(
    labels: npt.NDArray[np.int32],
    stats: npt.NDArray[np.int32],
    label: np.intp,
    ink: Pixels,
    step: int,
) -> Straight | None:
    """Return the line along a component, or None where it is not straight and thin enough.

    The labels are of each ``step``-th column.
    """
    x, y, samples, height, _ = stats
    width = step * samples
    if height > STEEPEST * width + 0.1 * width:
        return None
    member = labels[y : y + height, x : x + samples] == label
    thickness = member.sum(axis=0)
    columns = np.flatnonzero(thickness)
    rows = (member * np.arange(height)[:, None]).sum(axis=0)[columns] / thickness[columns]
    line = float(np.median(thickness[columns]))
    rule_width = max(1.0, line - 2)  # it was looked for a pixel wider on each side
    if width < THIN * rule_width:
        return None
    plain = thickness[columns] <= CROSSED * line
    if plain.sum() < 0.5 * samples:
        return None
    curve, residual = _bowed(columns[plain] / samples, rows[plain])
    if np.median(residual) > max(1.0, 0.5 * line) or abs(curve[0]) > 0.03 * width:
        return None
    # it may begin right after the column before, and end right before the one after
    along = np.arange(max(0, step * (x - 1) + 1), min(ink.shape[1], step * x + width))
    fit = np.polyval(curve, along / width - x / samples) + y
    middle = np.clip(np.rint(fit), 0, ink.shape[0] - 1).astype(int)
    return Straight(
        int(along[0]),
        int(along[-1]) + 1,
        fit.astype(np.float32),
        rule_width,
        float(curve[1] / width),
        max(1.0, float(np.median(ink[middle, along]))),
    )


def _bowed(along: Doubles, rows: Doubles) -> tuple[Doubles, Doubles]:
    """Return the parabola along most of the rows, and how far each is from it.

    Those that are farther than half of them are left out of it, and it is fitted anew: what a line
    touches belongs to its component, too (P. Rousseeuw, Least Median of Squares Regression, 1984).
    """
    residual = np.zeros(len(rows))
    for _ in range(FITS):
        near = residual <= np.median(residual)
        curve = np.polyfit(along[near], rows[near], 2)
        residual = np.asarray(np.abs(np.polyval(curve, along) - rows))
    return curve, residual


def _without(ink: Pixels, rules: list[Straight]) -> Pixels:
    if not rules:
        return ink
    ink = np.ascontiguousarray(ink).copy()
    inked = ink >= CONTOUR
    for rule in rules:
        _erase(ink, inked, rule)
    return ink


def _erase(ink: Pixels, inked: npt.NDArray[np.bool_], rule: Straight) -> None:
    """Take the rule out of ``ink``, but for the columns in which something crosses it."""
    reach = round(CROSSED * rule.width) + 2
    columns = np.arange(rule.start, rule.stop)
    rows = np.rint(rule.rows).astype(int)
    band = rows[None, :] + np.arange(-reach, reach + 1)[:, None]
    inside = (band >= 0) & (band < ink.shape[0])
    band = np.clip(band, 0, ink.shape[0] - 1)
    there = inked[band, columns] & inside
    run = _run_through_middle(there)
    levels = np.where(run, ink[band, columns], 0).max(axis=0)
    thickness = run.sum(axis=0)
    written = _written_over(levels, thickness, rule)
    erased = run & (thickness <= CROSSED * rule.width + 1) & ~written
    fringe = erased | np.roll(erased, 1, axis=0) | np.roll(erased, -1, axis=0)
    fringe &= erased.any(axis=0)
    fringe &= inside & (erased | ~there)
    y, x = np.nonzero(fringe)
    ink[band[y, x], columns[x]] = 0


def _written_over(
    levels: Pixels, thickness: npt.NDArray[np.intp], rule: Straight
) -> npt.NDArray[np.bool_]:
    """Whether a stroke lies on the rule: it is stronger there than it mostly is around.

    Of a stroke along much of the rule, that is not so: it is stronger than the rule, and wider.
    """
    window = min(255, len(levels) // 6 * 2 + 1)
    usual = cv2.medianBlur(levels[None], window)[0] if window > 1 else levels
    along = (levels > STRONGER * rule.strength) & (thickness > rule.width + 1)
    return (levels > STRONGER * usual) | along


def _run_through_middle(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return, in each column, the ink that is connected with the middle, or a pixel beside it."""
    middle = there.shape[0] // 2
    run = np.zeros_like(there)
    run[middle - 1 : middle + 2] = there[middle - 1 : middle + 2]
    for row in range(middle + 2, there.shape[0]):
        run[row] = run[row - 1] & there[row]
    for row in range(middle - 2, -1, -1):
        run[row] = run[row + 1] & there[row]
    return run
