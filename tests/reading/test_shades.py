"""Colours as one shade: what of a picture has a colour of its own."""

from __future__ import annotations

import numpy as np
import pytest

from chiffres.reading.shades import colour_alone
from tests.reading.made import BLUE, Grey, Sure, in_colour, written


@pytest.fixture
def ink(sure: Sure) -> Grey:
    return written(sure, "4807")


def test_writing_in_colour_is_far_from_its_paper(ink: Grey) -> None:
    shades = colour_alone(in_colour(ink, BLUE))
    assert shades is not None
    assert shades.shape == np.pad(ink, 20).shape
    beside = np.abs(shades.astype(int) - 128)
    inked = np.pad(ink, 20)
    assert np.median(beside[inked > 250]) > 90
    assert beside[inked == 0].max() == 0


def test_a_shadow_has_no_colour(ink: Grey) -> None:
    plain = in_colour(ink, BLUE)
    light = np.where(np.arange(plain.shape[1]) < plain.shape[1] // 2, 1, 0.55)
    shaded = np.rint(plain * light[:, None]).astype(np.uint8)
    before, after = (colour_alone(each) for each in (plain, shaded))
    assert before is not None
    assert after is not None
    assert np.abs(after.astype(int) - before)[np.pad(ink, 20) == 0].max() == 0
    assert np.abs(after.astype(int) - before).mean() < 6


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_no_colour(ink: Grey, channels: int) -> None:
    sheet = 235 - np.pad(ink, 20) // 255 * 200
    noise = np.random.default_rng(0).normal(0, 5, (*sheet.shape, 3))
    noisy = np.clip(sheet[..., None] + noise, 0, 255).astype(np.uint8)
    assert colour_alone(noisy if channels == 3 else noisy[..., 0]) is None
