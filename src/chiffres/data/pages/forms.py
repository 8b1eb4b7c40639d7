"""The many ways of writing a digit: a 1 with a base, a barred 7, an open 4, a slashed 0, ...

MNIST's writers are American; a French 1 is not among their digits, and a barred 7 is rare.
"""

from __future__ import annotations

import numpy as np

from chiffres.data.pages.shapes import Shape, from_strokes
from chiffres.data.pen import penned, slant

FORMS = {
    "0": "~51 20 04 28 58 74 50 31",
    "0 slashed": "~50 20 04 28 58 74 50, 81 07",
    "0 with a loop": "~62 40 14 27 58 74 51 31 42 60",
    "1": "40 48",
    "1 with a flag": "23 50 48",
    "1 French": "05 50 48",
    "1 with a base": "23 40 48, 18 78",
    "1 with a flag and a bow": "~14 31 40, ~40 43 48",
    "2": "~12 30 51 63 45 18, 18 78",
    "2 looped": "~12 40 62 54 27 18 06 27 48 78",
    "2 round": "~13 21 50 72 54 26 08, ~08 37 68 87",
    "3": "~11 40 71 63 44, ~44 65 76 58 18 06",
    "3 with a flat top": "10 70 44, ~44 65 77 58 38 17",
    "3 with a loop": "~11 50 62 44 34 44 65 67 48 17",
    "4 open": "10 05 75, 61 58",
    "4 closed": "58 50 05 85",
    "4 with a short bar": "30 15 65, 53 48",
    "4 open and round": "~10 13 25 45 64, 61 58",
    "5": "70 20 14, ~14 43 65 67 48 17",
    "5 with its bar apart": "20 14, ~14 43 66 57 38 07, 20 71",
    "5 in one curve": "~70 30 22 23 54 66 48 17",
    "6": "~60 32 14 16 38 58 66 54 34 15",
    "6 straight": "~50 24 16 38 58 66 54 34 15",
    "7": "10 70 38",
    "7 barred": "10 70 38, 24 64",
    "7 with a serif": "12 10 70 38",
    "7 barred, with a serif": "12 10 70 28, 24 64",
    "7 bowed": "~01 20 40 70, ~70 54 38",
    "8": "~61 40 21 33 54 66 48 26 34 53 62 60",
    "8 of two rings": "~40 22 44 62 40, ~44 26 48 66 44",
    "8 open on top": "~71 50 21 33 54 66 48 17 25 54 73",
    "9 straight": "~62 40 21 23 44 63 62, 61 68",
    "9 with a hook": "~62 40 21 23 44 63 62 65 48 17",
    "9 leaning": "~62 40 21 23 44 63 61, 62 38",
}
"""What ``pen.penned`` writes; the name begins with the digit."""

JITTER = 0.28
"""How far a point strays, of a digit eight high."""


def pen_drawn(rng: np.random.Generator) -> Shape:
    """Draw a digit in one of its forms, every digit as often, and every form of it."""
    value = int(rng.integers(10))
    forms = [name for name in FORMS if name[0] == str(value)]
    form = forms[int(rng.integers(len(forms)))]
    turned = slant(rng, turn=6, shear=0.2, stretch=1.25) @ np.diag([0.8, 1])
    strokes = penned(rng, FORMS[form], JITTER, turned)
    return from_strokes(strokes, value, rng.uniform(1.4, 3.2), form)
