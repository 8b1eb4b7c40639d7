"""What a reader is trained to refuse: drawings in MNIST's format that are no digit.

Letters and signs come from the fonts that matplotlib ships, distorted until they look made by hand;
all else is drawn. What the reader is measured on is made by other means: see ``strangers``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, label

from chiffres.data.dataset import SIDE
from chiffres.data.glyphs import (
    BOOK,
    ITALIC,
    LIGHT,
    MONO,
    SANS,
    SERIF,
    character,
    distorted,
    glyph_of,
    typeset,
)
from chiffres.data.image import BOX, normalize
from chiffres.data.pen import DETAIL, Floats, Grey, curve, gallery, paint, slant, smooth_noise

# A letter is left out where a human who expects digits reads one. When in doubt it is out: a letter
# that is not taught may pass as a digit, but a digit taught as a letter is refused for ever.
#   0: O o, D and Q (a 0 with a flat side, with a slip of the pen), U u (open above)
#   1: I i l, J j (a 1 with a hook)     2: Z z, d (a 2 that ends in a loop)     3, 8: B
#   4: Y y (4 open above), u     5: S s     6: G b     9: g q, a (also a 2, when printed)
# Kept: C (its gap is too wide for a 0), T (its bar stands out on both sides, unlike a 7's), A (its
# bar lies between the legs, unlike a 4's), e, h, n: nobody writes a digit so. Some are taken from
# plain fonts alone, for serifs and fat strokes make a 1 of f, L, r, t, a 0 of C, an 8 of e.
LETTERS = "ACEFHKLMNPRTVWXcefhkmnprtvwx"
PLAIN_ONLY = "CLcefrt"
# Likewise no Λ (1), Ψ ψ (4), η (7), φ Ф (4, 0), Ω (0), δ θ (8), З Э (3), Ц Ч (4), ç (5), Ю (10).
FOREIGN = "ÄÀÂÉÈÊËèéêëñΓΔΞΠΣεκλμπτχωЖДШЩЯИЛПЊ"
# Nor ! | / \ ( ) [ ' , ; † ⊥ (1), > ] ¬ (7), } ∃ (3), ¿ (6), $ (5), § (8), ¶ (9), £ (2), ∩ ◊ (0).
SYMBOLS = '&@#%?+=*<~^"-:€×÷±≠≈√∞«»≡∴∝☼©®™…¤∀'
DIGITS = "0123456789"

HALVES = {"top": "0AEFHKMNVWXmnx", "bottom": "0AEHKMNRVWXhkmx", "left": "358", "right": "CEXx"}
"""Which half of a character is no digit: the upper half of an 8 is a 0, the lower of a 7 a 1."""

TANGLED = 70
"""How many strokes the rows and columns of a scribble cross, at least: only 4 % of MNIST's digits
have as many, their median is 53."""

T = TypeVar("T")


def training_negatives(n: int, seed: int) -> tuple[Grey, npt.NDArray[np.str_]]:
    """Return ``n`` images that are no digit, ``(n, 28, 28)`` uint8, and their kinds, ``(n,)`` str.

    Ink is light on 0, and most have a digit's size and centring. The kinds and their shares are in
    ``KINDS``. The same ``seed`` gives the same images, and a larger ``n`` adds to them.

    Raises:
        MissingExtraError: matplotlib, whose fonts the letters come from, is not installed.
    """
    return gallery(KINDS, n, seed, stream=1)


def letter(rng: np.random.Generator) -> Grey:
    """Draw a letter, of the Latin alphabet in four cases out of five."""
    if rng.random() < 0.2:
        return distorted(rng, character(_pick(rng, FOREIGN), _pick(rng, SANS + SERIF)))
    text = _pick(rng, LETTERS)
    fonts = LIGHT if text in PLAIN_ONLY else SANS + MONO + SERIF + BOOK + ITALIC
    return distorted(rng, character(text, _pick(rng, fonts)))


def symbol(rng: np.random.Generator) -> Grey:
    """Draw a punctuation mark or a sign."""
    return distorted(rng, character(_pick(rng, SYMBOLS), _pick(rng, SANS)), thickest=3)


def pair(rng: np.random.Generator) -> Grey:
    """Draw two characters in one box: digits, letters, or one of each."""
    text = "".join(_pick(rng, DIGITS if rng.random() < 0.6 else LETTERS) for _ in range(2))
    glyph = glyph_of(typeset(text, _pick(rng, SANS + MONO)), even=True)
    return distorted(rng, glyph, thickest=2.6, stretch=1.6)


def part(rng: np.random.Generator) -> Grey:
    """Draw half a character, one that leaves no digit."""
    side = _pick(rng, tuple(HALVES))
    ink = typeset(_pick(rng, HALVES[side]), _pick(rng, LIGHT))
    share = rng.uniform(0.4, 0.6)
    x, y = round(ink.width * share), round(ink.height * share)
    box = {
        "top": (0, 0, ink.width, y),
        "bottom": (0, y, ink.width, ink.height),
        "left": (0, 0, x, ink.height),
        "right": (x, 0, ink.width, ink.height),
    }[side]
    return distorted(rng, glyph_of(ink.crop(box), even=True))


def scribble(rng: np.random.Generator) -> Grey:
    """Draw a tangle: one long random curve, or several short ones."""
    while True:
        count = int(rng.integers(1, 5))
        length = int(rng.integers(10, 16)) // count
        cells = rng.permutation(16)[: count * length]  # of a 4×4 grid, to spread the points
        points = np.stack([cells // 4, cells % 4], axis=1) + rng.uniform(-0.4, 0.4, (len(cells), 2))
        points @= slant(rng, turn=90, stretch=1.5).T
        strokes = [curve(each) for each in np.split(points, count)]
        drawing = normalize(paint(strokes, rng.uniform(1.5, 3)))
        if _strokes_crossed(drawing) >= TANGLED:
            return drawing


def line(rng: np.random.Generator) -> Grey:
    """Draw ruled lines: one lying, several parallel or crossing, a corner, a box."""
    draw = _pick(rng, (_lying, _parallel, _crossing, _corner, _box))
    strokes = [_bowed(rng, ends) for ends in draw(rng)]
    return normalize(paint(strokes, rng.uniform(1.5, 3)))


def blob(rng: np.random.Generator) -> Grey:
    """Draw a stain, with or without drops around it."""
    side = DETAIL * BOX
    rows, columns = np.indices((side, side)) / (side / 2) - 1
    height = smooth_noise(rng, side, int(rng.integers(3, 8))) * rng.uniform(0.1, 0.5)
    height -= 1.5 * np.hypot(rows, columns * rng.uniform(0.7, 1.1))
    edge = np.quantile(height, rng.uniform(0.4, 0.9))
    ink = np.clip((height - edge) * rng.uniform(3, 30), 0, 1)
    upright = np.ptp(np.argwhere(ink > 0.5), axis=0) @ (1, -1) > 0
    return normalize(ink.T if upright else ink)  # upright, it might be a 1


def speck(rng: np.random.Generator) -> Grey:
    """Draw noise over the whole frame, or specks."""
    density = np.exp(rng.uniform(np.log(0.005), np.log(0.5)))
    dots = (rng.random((SIDE, SIDE)) < density) * rng.uniform(0.3, 1, (SIDE, SIDE))
    dots[tuple(rng.integers(SIDE, size=2))] = 1  # at least one
    spread = gaussian_filter(dots, rng.uniform(0, 0.9))
    return _grey(spread / spread.max())


def grain(rng: np.random.Generator) -> Grey:
    """Draw a piece of a rough surface, as it is found where dark counts as ink."""
    while True:
        reach = np.exp(rng.uniform(np.log(1.5), np.log(5)))
        long = np.exp(rng.uniform(0, np.log(2.5)))
        side = DETAIL * BOX
        height = gaussian_filter(rng.standard_normal((side, side)), (reach / long, reach * long))
        ink = height > np.quantile(height, rng.uniform(0.4, 0.85))
        pieces, _ = label(ink)
        largest = pieces == 1 + np.argmax(np.bincount(pieces[ink])[1:])
        drawing = normalize((largest if rng.random() < 0.7 else ink).astype(np.float64))
        if _strokes_crossed(drawing) >= TANGLED:
            return drawing


def texture(rng: np.random.Generator) -> Grey:
    """Draw stripes, a check, a ramp or one shade, over the frame or in a digit's box."""
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 9)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    waves = [np.sin(2 * np.pi * each / period + rng.uniform(0, 6)) for each in (along, across)]
    check, plaid = waves[0] * waves[1], waves[0] + waves[1]
    bowl, plain = np.hypot(along, across), np.ones_like(along)
    patterns = (waves[0], waves[0], check, check, plaid, along, bowl, -bowl, plain)
    pattern = _pick(rng, patterns)
    sharpness = rng.uniform(0.5, 4)
    shades = 0.5 + np.tanh(sharpness * pattern / max(1, np.abs(pattern).max())) / 2
    if rng.random() < 0.4:
        shades[(np.abs(rows) > BOX / 2) | (np.abs(columns) > BOX / 2)] = 0
    return _grey(shades * rng.uniform(0.4, 1))


def empty(rng: np.random.Generator) -> Grey:
    """Draw nothing, or next to nothing."""
    faint = int(rng.integers(0, 4)) * 8
    return rng.integers(0, faint, (SIDE, SIDE), np.uint8, endpoint=True)


KINDS = {
    "letter": (0.34, letter),
    "symbol": (0.10, symbol),
    "pair": (0.10, pair),
    "part": (0.08, part),
    "scribble": (0.12, scribble),
    "line": (0.08, line),
    "blob": (0.04, blob),
    "speck": (0.04, speck),
    "grain": (0.04, grain),
    "texture": (0.04, texture),
    "empty": (0.02, empty),
}
"""The share of each kind, and the function that draws one."""


def _strokes_crossed(image: Grey) -> int:
    """Count the strokes that each row and each column crosses, all together."""
    ink = np.pad(image > 127, 1).astype(np.int8)
    return int(sum((np.diff(ink, axis=axis) == 1).sum() for axis in (0, 1)))


def _lying(rng: np.random.Generator) -> list[Floats]:
    """Return one line, too far from upright for a 1."""
    return [_line(0, 0, 1, rng.uniform(-0.35, 0.35))]


def _parallel(rng: np.random.Generator) -> list[Floats]:
    """Return two to five lines, as on ruled paper, in any direction."""
    count = int(rng.integers(2, 6))
    length = rng.uniform(0.6, 1.5) * max(2, count - 1)
    turned = slant(rng, turn=90)
    return [_line(0, row, length, row) @ turned.T for row in range(count)]


def _crossing(rng: np.random.Generator) -> list[Floats]:
    """Return a cross or a grid."""
    turned = slant(rng, turn=45)
    columns, rows = (np.linspace(0, 1, int(rng.integers(1, 4)) + 2)[1:-1] for _ in range(2))
    lines = [_line(x, 0, x, 1) for x in columns] + [_line(0, y, 1, y) for y in rows]
    return [each @ turned.T for each in lines]


def _corner(rng: np.random.Generator) -> list[Floats]:
    """Return two lines that meet, but not at the upper right, as in a 7, nor on top, as in a 1."""
    turned = slant(rng, turn=12)
    x, y = _pick(rng, ((0, 0), (0, 1), (1, 1)))
    reach = rng.uniform(0.6, 1.2) * (1 - 2 * x)
    return [each @ turned.T for each in (_line(x, y, x + reach, y), _line(x, y, x, 1 - y))]


def _box(rng: np.random.Generator) -> list[Floats]:
    """Return a rectangle wider than high, which is no 0, or a triangle; some with a bar in it."""
    turned = slant(rng, turn=12, stretch=1)
    wide = rng.uniform(1.3, 2.4)
    corners = [(0.0, 0.0), (wide, 0.0), (wide, 1.0), (0.0, 1.0)]
    if rng.random() < 0.3:
        corners = [(0.0, 1.0), (wide, 1.0), (rng.uniform(0.3, 0.7) * wide, 0.0)]
    lines = [_line(*start, *end) for start, end in itertools.pairwise([*corners, corners[0]])]
    if len(corners) == 4 and rng.random() < 0.5:
        lines.append(_pick(rng, (_line(0, 0, wide, 1), _line(wide / 2, 0, wide / 2, 1))))
    return [each @ turned.T for each in lines]


def _line(x: float, y: float, end_x: float, end_y: float) -> Floats:
    return np.array([[x, y], [end_x, end_y]], np.float64)


def _bowed(rng: np.random.Generator, ends: Floats) -> Floats:
    """Return a line from end to end, but not quite as a ruler would draw it."""
    points = np.stack([ends[0], ends.mean(axis=0), ends[1]])
    return curve(points + rng.normal(0, 0.015 * np.ptp(ends), points.shape))


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _grey(shades: Floats) -> Grey:
    return np.asarray(np.round(np.clip(shades, 0, 1) * 255), np.uint8)
