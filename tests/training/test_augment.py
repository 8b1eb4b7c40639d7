"""Digits changed: as far as stated, as often as stated, and the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chiffres.data import Dataset
from chiffres.errors import UnknownNameError
from chiffres.report import figures
from chiffres.training.augment import AUGMENTATIONS, EFFECTS, Augmentation, find_augmentation
from tests.report.hung import hung

MOVES: dict[str, Augmentation] = {
    "rotation": Augmentation(rotation=20),
    "shear": Augmentation(shear=0.3),
    "scale": Augmentation(scale=0.2),
    "stretch": Augmentation(stretch=0.2),
    "shift": Augmentation(shift=2),
    "elastic": Augmentation(elastic=0.6),
}
ALL = AUGMENTATIONS | MOVES | {name: Augmentation(effects={name: 1}) for name in EFFECTS}

every_one = pytest.mark.parametrize("name", ALL)
every_effect = pytest.mark.parametrize("name", EFFECTS)


def changed(augmentation: Augmentation, images: Any, seed: int = 0) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    return augmentation(torch.as_tensor(images), generator).numpy()


@pytest.fixture(scope="module")
def images(small: Dataset) -> np.ndarray:
    return small.development.images[:200]


# What goes in and what comes out


@every_one
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (784,)])
def test_any_input_of_a_model_keeps_its_shape_and_its_range(
    name: str, shape: tuple[int, ...], images: np.ndarray
) -> None:
    given = images.reshape(len(images), *shape)
    before = given.copy()
    found = changed(ALL[name], given)
    assert found.dtype == np.float32
    assert found.shape == given.shape
    assert 0 <= found.min() < found.max() <= 255  # and no NaN, which compares with nothing
    np.testing.assert_array_equal(changed(ALL[name], given.astype(np.float32)), found)
    np.testing.assert_array_equal(given, before)


def test_float_images_are_not_modified(images: np.ndarray) -> None:
    given = torch.from_numpy(images.astype(np.float32))
    for augmentation in ALL.values():
        augmentation(given, torch.Generator())
    np.testing.assert_array_equal(given, images)


@every_one
@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_a_single_one(name: str, n: int, images: np.ndarray) -> None:
    found = changed(ALL[name], images[:n])
    assert found.shape == (n, 28, 28)
    assert np.isfinite(found).all()


@every_one
def test_the_seed_decides_and_nothing_else_does(name: str, images: np.ndarray) -> None:
    first = changed(ALL[name], images, seed=1)
    torch.manual_seed(123)
    np.testing.assert_array_equal(changed(ALL[name], images, seed=1), first)
    assert (changed(ALL[name], images, seed=2) != first).any()


def test_a_generator_goes_on(images: np.ndarray) -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (MOVES["shift"](torch.from_numpy(images), generator) for _ in range(2))
    assert (first != second).any()


# Names


def test_augmentations_are_found_by_name() -> None:
    assert {"shift", "light", "reader"} <= AUGMENTATIONS.keys()
    for name, augmentation in AUGMENTATIONS.items():
        assert find_augmentation(name) is augmentation
    assert find_augmentation("none") is None


def test_an_unknown_name_proposes_the_nearest() -> None:
    message = r"unknown augmentation 'readr' \(did you mean 'reader'\?\); known: .*none"
    with pytest.raises(UnknownNameError, match=message):
        find_augmentation("readr")


def test_the_effects_of_each_are_known_and_in_order() -> None:
    for augmentation in AUGMENTATIONS.values():
        assert list(augmentation.effects) == [
            name for name in EFFECTS if name in augmentation.effects
        ]
        assert all(0 < share <= 1 for share in augmentation.effects.values())


# How far the pixels move


def sources(augmentation: Augmentation, n: int = 400, seed: int = 0) -> np.ndarray:
    """Return where the pixels of ``n`` images come from, ``(n, 2, 8, 8)``: x and y, 0 the centre.

    Those around the centre alone. The images are ramps: what a pixel shows is where it comes from.
    """
    ramp = np.tile(9 * np.arange(28, dtype=np.float32), (n, 28, 1))
    found = [changed(augmentation, each, seed) for each in (ramp, ramp.swapaxes(1, 2))]
    return (np.stack(found, axis=1) / 9 - 13.5)[:, :, 10:18, 10:18]


def slopes(where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return how x and y of the sources grow, ``(n,)`` each: to the right, and downwards."""
    right, down = np.diff(where, axis=3).mean((2, 3)), np.diff(where, axis=2).mean((2, 3))
    return right[:, 0], right[:, 1], down[:, 0], down[:, 1]


def assert_reaches(values: np.ndarray, bound: float) -> None:
    """Check that no value is over the bound, in either direction, and some are near to it."""
    assert np.abs(values).max() <= bound * (1 + 1e-3)
    assert values.max() > 0.9 * bound
    assert values.min() < -0.9 * bound


@given(arrays.arrays(np.uint8, (3, 28, 28)))
def test_no_change_is_none(images: np.ndarray) -> None:
    np.testing.assert_allclose(changed(Augmentation(), images), images, atol=1)


def test_rotation() -> None:
    right_x, right_y, down_x, down_y = slopes(sources(MOVES["rotation"]))
    assert_reaches(np.degrees(np.arctan2(right_y, right_x)), 20)
    np.testing.assert_allclose(np.hypot(right_x, right_y), 1, rtol=1e-3)
    np.testing.assert_allclose([down_x, down_y], [-right_y, right_x], atol=1e-3)


def test_shear() -> None:
    right_x, right_y, down_x, down_y = slopes(sources(MOVES["shear"]))
    assert_reaches(down_x, 0.3)
    for found, expected in ((right_x, 1), (right_y, 0), (down_y, 1)):
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_scale() -> None:
    right_x, right_y, down_x, down_y = slopes(sources(MOVES["scale"]))
    assert_reaches(np.log(right_x), 0.2)
    np.testing.assert_allclose(right_x, down_y, rtol=1e-3)
    np.testing.assert_allclose([right_y, down_x], 0, atol=1e-3)


def test_stretch() -> None:
    right_x, right_y, down_x, down_y = slopes(sources(MOVES["stretch"]))
    assert_reaches(np.log(right_x / down_y), 0.2)
    np.testing.assert_allclose(right_x * down_y, 1, rtol=1e-3)
    np.testing.assert_allclose([right_y, down_x], 0, atol=1e-3)


def test_shift() -> None:
    where = sources(MOVES["shift"])
    x, y = where.mean((2, 3)).T
    assert_reaches(x, 2)
    assert_reaches(y, 2)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.2
    np.testing.assert_allclose(np.diff(where[:, 0], axis=2), 1, atol=1e-3)


def test_elastic_is_a_smooth_disturbance_of_its_standard_deviation() -> None:
    still = np.stack(np.meshgrid(np.arange(-3.5, 4), np.arange(-3.5, 4)))
    off = sources(MOVES["elastic"], n=2000) - still
    assert off[:, :, 3:5, 3:5].std() == pytest.approx(0.6, rel=0.05)  # beside a knot
    assert off.mean() == pytest.approx(0, abs=0.05)
    assert np.abs(np.diff(off, axis=3)).mean() < 0.15  # knots are seven pixels apart


def test_wild_ones_move_up_to_twice_as_far() -> None:
    shift = replace(MOVES["shift"], wild=1)
    assert_reaches(sources(shift).mean((2, 3)), 4)
    some = np.abs(sources(replace(shift, wild=0.3), n=2000).mean((2, 3)))
    assert np.mean(some > 2) == pytest.approx(0.3 / 2, abs=0.03)  # half of the wild ones
    assert_reaches(np.log(slopes(sources(Augmentation(scale=0.1, wild=1)))[0]), 0.2)


@given(
    bound=st.floats(0, 4, allow_subnormal=False),
    wild=st.sampled_from([0, 1]),
    seed=st.integers(0, 2**62),
)
def test_a_shift_moves_the_centre_of_mass_by_at_most_its_bound(
    bound: float, wild: int, seed: int
) -> None:
    images = np.zeros((20, 28, 28), np.uint8)
    images[:, 11:18, 12:16] = np.random.default_rng(seed).integers(1, 256, (20, 7, 4))
    found = changed(Augmentation(shift=bound, wild=wild), images, seed)
    moved = centres(found) - centres(images)
    assert np.abs(moved).max() <= bound * (1 + wild) + 1e-3
    np.testing.assert_allclose(found.sum((1, 2)), images.sum((1, 2)), rtol=1e-4)


def centres(images: np.ndarray) -> np.ndarray:
    """Return the centre of mass of each image, ``(n, 2)``: row and column."""
    weights = images / images.sum((1, 2), keepdims=True)
    return np.stack([(weights * axis).sum((1, 2)) for axis in np.indices((28, 28))], axis=1)


@pytest.mark.parametrize("name", [*MOVES, "light"])
def test_blank_images_stay_blank_wherever_their_pixels_go(name: str) -> None:
    assert not changed(ALL[name], np.zeros((50, 28, 28), np.uint8)).any()


# How often, and what with


@every_effect
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_an_effect_changes_its_share_of_the_images(
    name: str, share: float, images: np.ndarray
) -> None:
    before = changed(Augmentation(), images)
    after = changed(Augmentation(effects={name: share}), images)
    touched = (before != after).any((1, 2)).sum()
    if name in ("clipped", "edged", "lined", "stained"):  # may fall where it changes nothing
        assert 0 < touched <= share * len(images)
    else:
        assert touched == share * len(images)


def test_which_images_is_left_to_chance(images: np.ndarray) -> None:
    before = changed(Augmentation(), images)
    chosen = [
        tuple((before != changed(Augmentation(effects={"faint": 0.5}), images, seed)).any((1, 2)))
        for seed in range(5)
    ]
    assert len(set(chosen)) == 5


def test_the_effects_of_one_image_are_independent(images: np.ndarray) -> None:
    """Half of the images fainter, half of them thicker: a quarter of them both."""
    before = changed(Augmentation(), images)
    after = changed(Augmentation(effects={"thicker": 0.5, "faint": 0.5}), images)
    untouched = (before == after).all((1, 2)).mean()
    assert untouched == pytest.approx(0.25, abs=0.1)


def effect(name: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return ``images``, 0 to 1, under one effect."""
    generator = torch.Generator().manual_seed(seed)
    return EFFECTS[name](torch.as_tensor(images, dtype=torch.float32), generator).numpy()


@pytest.mark.parametrize("name", ["thicker", "shaded", "lined", "edged", "stained"])
def test_ink_is_added(name: str, images: np.ndarray) -> None:
    assert (effect(name, images / 255) >= images / 255 - 1e-6).all()


@pytest.mark.parametrize("name", ["thinner", "faint", "clipped"])
def test_ink_is_taken_away(name: str, images: np.ndarray) -> None:
    assert (effect(name, images / 255) <= images / 255 + 1e-6).all()


def test_a_dot_grows_on_four_sides_and_a_cross_shrinks_to_a_dot() -> None:
    dot, cross = np.zeros((2, 1, 28, 28))
    dot[0, 14, 9] = 1
    cross[0, [14, 13, 15, 14, 14], [9, 9, 9, 8, 10]] = 1
    grown, shrunk = effect("thicker", dot), effect("thinner", cross)
    np.testing.assert_array_equal(grown > 0, cross > 0)
    assert 0.2 <= grown[0, 13, 9] == grown[0, 14, 10] <= 1
    assert shrunk[0, 14, 9] == 1
    assert 0.3 <= shrunk[0, 13, 9] == shrunk[0, 14, 8] <= 0.9


def test_faint_ink_is_25_to_80_percent_of_it() -> None:
    left = effect("faint", np.ones((500, 28, 28)))
    assert (left == left[:, :1, :1]).all()
    assert 0.25 <= left.min() < 0.3
    assert 0.75 < left.max() <= 0.8


def test_blurring_keeps_the_ink_and_lowers_its_peaks() -> None:
    dots = np.zeros((100, 28, 28))
    dots[:, 14, 9] = 1
    found = effect("blurred", dots)
    np.testing.assert_allclose(found.sum((1, 2)), 1, rtol=1e-5)
    assert found[:, 14, 9].max() < 0.8


def test_noise_is_that_of_its_standard_deviation() -> None:
    deviations = effect("noisy", np.full((500, 28, 28), 0.5)).std((1, 2))
    assert 0.02 * 0.9 < deviations.min() < 0.04
    assert 0.23 < deviations.max() < 0.25 * 1.1


def test_specks_are_up_to_a_fifth_of_the_pixels_and_of_any_grey_level() -> None:
    found = effect("speckled", np.full((500, 28, 28), 2))
    specks = found != 2
    assert specks.mean((1, 2)).max() < 0.25
    assert specks.mean() == pytest.approx((0.01 + 0.2) / 2, abs=0.01)
    assert found[specks].mean() == pytest.approx(0.5, abs=0.01)


def test_half_inverted_is_the_image_here_and_its_negative_there(images: np.ndarray) -> None:
    before = (images / 255).astype(np.float32)
    after = effect("half-inverted", before)
    assert ((after == before) | (after == 1 - before)).all()
    inverted = (after != before).mean((1, 2))
    assert 0 < inverted.max() < 0.5


def test_outlines_are_where_the_ink_begins() -> None:
    square = np.zeros((1, 28, 28))
    square[0, 8:20, 8:20] = 1
    found = effect("outlined", square)
    assert not found[0, 10:18, 10:18].any()
    assert (found[0, 8, 8:20] == 1).all()


def test_shade_is_up_to_three_fifths_of_the_way_to_ink() -> None:
    shade = effect("shaded", np.zeros((500, 28, 28)))
    assert 0.5 < shade.max() <= 0.6
    assert (effect("shaded", np.ones((1, 28, 28))) == 1).all()


# How it is looked at


def test_the_picture_shows_each_digit_and_seven_augmentations_of_it(small: Dataset) -> None:
    digits = small.development
    drawn, again = (hung(figures.augmentations(digits, AUGMENTATIONS["shift"])) for _ in range(2))
    shown = [image for _, image in drawn]
    np.testing.assert_array_equal(shown, [image for _, image in again])
    titles = [label for label, _ in drawn]
    assert titles == [str(i // 8) if i % 8 == 0 else "" for i in range(80)]
    for digit in range(10):
        first, *others = shown[8 * digit : 8 * digit + 8]
        np.testing.assert_array_equal(first, digits.images[digits.labels == digit][0])
        assert len({each.tobytes() for each in (first, *others)}) == 8
        for other in others:
            moved = centres(other[None].astype(float)) - centres(first[None].astype(float))
            assert np.abs(moved).max() <= 1.5 + 0.1  # and less, where ink is lost over the edge
