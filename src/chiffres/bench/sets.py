"""The pictures that reading is measured on: which sets there are, and how each is made.

A set is made of its seed and of a dataset's part alone, so that all engines read the same pictures.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from chiffres.data import Digits
from chiffres.data.dataset import split
from chiffres.data.pages import Page, page
from chiffres.data.pages.blank import blank
from chiffres.data.pages.forms import pen_drawn
from chiffres.data.pages.shapes import of_digits
from chiffres.data.pages.sketch import sketch
from chiffres.data.strokes import CONTOUR, bounds
from chiffres.errors import UsageError

AnyPicture = bytes | npt.NDArray[np.uint8]
"""A picture as an array, or as an image file's bytes."""
Layout = Literal["digit", "line", "lines", "nothing"]
"""What a picture holds, as far as a reader may be told beforehand."""
STRING = (2, 12)
"""The least and the largest number of digits in a line."""


@dataclass(frozen=True, eq=False)
class Case:
    """A picture and the truth about it.

    Attributes:
        picture: what is read.
        lines: the digits of each line in it; empty where there are none.
        made: how it was made.
    """

    picture: AnyPicture
    lines: list[str]
    made: dict[str, Any]


@dataclass(frozen=True)
class Set:
    """Pictures of a kind.

    Attributes:
        layout: what each holds.
        make: makes one by chance.
        resizable: whether a picture is of one digit, so that it can be resized to 28×28.
    """

    layout: Layout
    make: Callable[[np.random.Generator, Digits], Case]
    resizable: bool = False


def cases(name: str, digits: Digits, n: int, seed: int) -> Iterator[Case]:
    """Make the pictures of a set: picture ``i`` depends on ``seed`` and ``i`` alone."""
    place = list(SETS).index(name)
    for index in range(n):
        yield SETS[name].make(np.random.default_rng([seed, index, place]), digits)


def _of_page(made: Page) -> Case:
    return Case(made.picture, made.lines, made.made)


def _single(rng: np.random.Generator, digits: Digits) -> Case:
    return _of_page(page(rng, of_digits(digits)))


def _string(rng: np.random.Generator, digits: Digits) -> Case:
    return _of_page(page(rng, of_digits(digits), [_length(rng)]))


def _touching(rng: np.random.Generator, digits: Digits) -> Case:
    return _of_page(page(rng, of_digits(digits), [_length(rng)], touching=True))


def _lines(rng: np.random.Generator, digits: Digits) -> Case:
    counts = [int(rng.integers(1, 9)) for _ in range(int(rng.integers(2, 5)))]
    return _of_page(page(rng, of_digits(digits), counts))


def _boxes(rng: np.random.Generator, digits: Digits) -> Case:
    return _of_page(page(rng, of_digits(digits), [int(rng.integers(1, 9))], boxed=True))


def _length(rng: np.random.Generator) -> int:
    return int(rng.integers(STRING[0], STRING[1] + 1))


def _form(rng: np.random.Generator, _: Digits) -> Case:
    return _of_page(page(rng, pen_drawn))


def _sketch(rng: np.random.Generator, _: Digits) -> Case:
    return _of_page(sketch(rng))


def _blank(rng: np.random.Generator, _: Digits) -> Case:
    return _of_page(blank(rng))


SETS = {
    "single": Set("digit", _single, resizable=True),
    "forms": Set("digit", _form, resizable=True),
    "sketches": Set("digit", _sketch, resizable=True),
    "strings": Set("line", _string),
    "touching": Set("line", _touching),
    "lines": Set("lines", _lines),
    "blank": Set("nothing", _blank),
    "boxes": Set("line", _boxes),
}
"""What is made by chance."""
OPTICAL_STREAM, CUT_OUT_STREAM = 7, 8
"""Of chance, beside that of each set."""


def mnist_files(digits: Digits, n: int) -> list[Case]:
    """Return the first ``n`` digits of a part as PNG files of 28×28."""
    return [
        Case(png(image), [str(label)], {})
        for image, label in zip(digits.images[:n], digits.labels[:n], strict=True)
    ]


def optical(part: str, n: int, seed: int) -> list[Case]:
    """Return scikit-learn's digits of 8×8 scaled up, each once: by 3 to 40, dark or light.

    Args:
        part: ``test`` for the tenth of them that is the dataset's test part, else all others.
        n: how many, at most; there are 180 in the test part.
        seed: decides which, and how each is scaled.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    chosen = split(bunch.target, round(len(bunch.target) / 10))[1 if part == "test" else 0]
    rng = np.random.default_rng([seed, OPTICAL_STREAM])
    found = []
    for index in rng.permutation(chosen)[:n]:
        small = np.round(bunch.images[index] * (255 / 16)).astype(np.uint8)
        margin = int(rng.integers(0, 9))
        found.append(_scaled_up(np.pad(small, margin), bunch.target[index], (3, 40), rng))
    return found


def cut_outs(digits: Digits, n: int, seed: int) -> list[Case]:
    """Return digits as collections of scanned ones have them: cut out to 16×16, without a margin.

    They are stretched to the square, but for those that are slender; then scaled up by 1 to 20,
    dark or light.

    Args:
        digits: what to cut out.
        n: how many, at most.
        seed: decides which, and how each is scaled.
    """
    rng = np.random.default_rng([seed, CUT_OUT_STREAM])
    found = []
    for index in rng.permutation(len(digits.labels))[:n]:
        top, bottom, left, right = bounds(digits.images[index] >= CONTOUR)
        ink = digits.images[index][top:bottom, left:right]
        slender = SQUARE * (right - left) / (bottom - top)
        width = SQUARE if slender > SQUARE / 2 else max(2, round(slender))
        ink = cv2.resize(ink, (width, SQUARE), interpolation=cv2.INTER_LINEAR)
        beside = SQUARE - width
        small = np.pad(ink, ((0, 0), (beside // 2, beside - beside // 2)))
        found.append(_scaled_up(small, digits.labels[index], (1, 20), rng))
    return found


SQUARE = 16
"""The side of what is cut out, in pixels, as in the digits of the United States Postal Service."""
ENLARGED = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
"""How pictures are enlarged."""


def _scaled_up(
    small: npt.NDArray[np.uint8],
    label: np.integer[Any],
    limits: tuple[float, float],
    rng: np.random.Generator,
) -> Case:
    """Return a digit scaled up, by a factor within the limits, light on dark or dark on light."""
    scale = float(np.exp(rng.uniform(*np.log(limits))))
    how = str(rng.choice(list(ENLARGED)))
    large = _scaled(small, scale, ENLARGED[how])
    dark = bool(rng.random() < 0.5)
    made = {"scale": round(scale, 1), "enlarged": how, "light on dark": dark}
    return Case(large if dark else 255 - large, [str(label)], made)


def _scaled(picture: npt.NDArray[np.uint8], scale: float, method: int) -> npt.NDArray[np.uint8]:
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def png(picture: npt.NDArray[np.uint8], orientation: int = 1) -> bytes:
    """Return a PNG file, the orientation (1 to 8) written into it as EXIF has it."""
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    Image.fromarray(picture).save(file, "PNG", exif=exif, compress_level=1)
    return file.getvalue()


def check_sets(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise UsageError where a set is not known."""
    for name in names:
        if name not in known:
            raise UsageError(f"unknown set {name!r}; known: {', '.join(known)}")
