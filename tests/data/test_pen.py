"""The drawing primitives keep to their measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data.image import normalize
from chiffres.data.pen import curve, paint, slant, smooth_noise

seeds = st.integers(0, 2**32)


@given(st.floats(1.5, 4), st.floats(0.2, 50))
def test_a_stroke_has_its_width_in_the_image_whatever_the_unit(width: float, size: float) -> None:
    image = normalize(paint([np.array([[0, 0], [size, 0]])], width))
    middle = image[:, 14].astype(float).sum() / 255
    assert middle == pytest.approx(width, abs=0.5)
    assert np.ptp(np.flatnonzero(image.max(axis=0))) + 1 == 20


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=9))
def test_a_curve_begins_and_ends_with_its_points(points: list[tuple[int, int]]) -> None:
    drawn = curve(np.array(points, np.float64))
    assert drawn.shape == (12 * len(points), 2)
    np.testing.assert_allclose(drawn[[0, -1]], np.array(points)[[0, -1]], atol=1e-6)


@given(seeds, st.integers(0, 90), st.sampled_from([0, 0.2, 0.5]), st.floats(1, 3))
def test_a_slant_keeps_areas(seed: int, turn: float, shear: float, stretch: float) -> None:
    matrix = slant(np.random.default_rng(seed), turn, shear, stretch)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_no_slant_is_no_change() -> None:
    np.testing.assert_allclose(slant(np.random.default_rng(0), 0, 0, 1), np.eye(2))


@given(seeds, st.integers(8, 80), st.integers(1, 8))
def test_noise_is_smooth(seed: int, side: int, cells: int) -> None:
    noise = smooth_noise(np.random.default_rng(seed), side, cells)
    assert noise.shape == (side, side)
    assert np.abs(np.diff(noise, axis=0)).max() < 12 * cells / side
