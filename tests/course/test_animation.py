"""The animations show what ``chiffres.lab`` computes."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import numpy as np

from chiffres.course import Course
from chiffres.lab.convolution import convolve_2d

DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[4:24, 12:15] = 255


def data_of(shown: str) -> dict[str, Any]:
    (page,) = re.findall(r'srcdoc="([^"]*)"', shown)
    (data,) = re.findall(r'id="data">(.*)</script>', html.unescape(page))
    return dict(json.loads(data))


def test_a_convolution_shows_its_feature_map() -> None:
    kernel = [[1, 0, -1]] * 3
    data = data_of(Course("fr").convolution(DIGIT, kernel)._repr_html_())
    assert np.allclose(data["result"], convolve_2d(DIGIT / 255, kernel))
    assert (data["size"], data["stride"], data["kernel"]) == (3, 1, kernel)
    assert data["labels"]["play"] == "Lire"


def test_pooling_shows_what_is_left() -> None:
    data = data_of(Course("en").pooling(DIGIT, "average")._repr_html_())
    assert np.shape(data["result"]) == (14, 14)
    assert data["result"][5][7] == 0.5
    assert (data["size"], data["stride"], data["kernel"]) == (2, 2, None)
    assert data["formula"] == "the mean of the window"
