from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chiffres.data import Dataset
from chiffres.data.dataset import Images
from chiffres.errors import UnknownNameError
from chiffres.evaluation import corrupt as module
from chiffres.evaluation.corrupt import CORRUPTIONS, corrupt, corrupted, robustness
from chiffres.evaluation.metrics import evaluate
from chiffres.models.files import load_model
from chiffres.report import figures
from chiffres.training.run import Run
from tests.report.hung import hung

NAMES = [
    "shot-noise",
    "impulse-noise",
    "glass-blur",
    "motion-blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted-line",
    "zigzag",
    "canny-edges",
]
SURE = ["scale", "brightness", "stripe", "canny-edges"]
"""What leaves nothing to chance."""
DRAWN = ["impulse-noise", "brightness", "stripe", "spatter", "dotted-line", "zigzag"]
"""What shows on a blank image, too."""

every = pytest.mark.parametrize("name", NAMES)
anything = arrays(np.uint8, st.tuples(st.integers(0, 3), st.just(28), st.just(28)))


def flat(level: int, n: int = 1) -> Images:
    return np.full((n, 28, 28), level, np.uint8)


def dot(row: int, column: int, n: int = 1) -> Images:
    images = flat(0, n)
    images[:, row, column] = 255
    return images


def bar(n: int = 1) -> Images:
    """Return an upright bar, 3 wide and 18 high, at the centre of a square of 27."""
    images = flat(0, n)
    images[:, 5:23, 12:15] = 255
    return images


def centre(image: Images) -> tuple[float, float]:
    """Return the row and the column of the centre of mass."""
    row, column = (np.average(places, weights=image) for places in np.indices(image.shape))
    return float(row), float(column)


def lean(image: Images) -> float:
    """Return how many columns to the left the ink goes from one row to the row below."""
    rows, columns = np.nonzero(image > 127)
    return float(-np.polyfit(rows, columns, 1)[0])


def test_the_corruptions_are_the_paper_s() -> None:
    assert list(CORRUPTIONS) == NAMES


@every
def test_every_digit_is_changed(name: str, small: Dataset) -> None:
    images = small.test.images
    found = corrupt(images, name)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert (found != images).any(axis=(1, 2)).all()


@every
def test_the_given_images_stay_as_they_are(name: str, small: Dataset) -> None:
    images = small.test.images.copy()
    images.setflags(write=False)
    found = corrupt(images, name)
    assert not np.shares_memory(found, images)
    np.testing.assert_array_equal(images, small.test.images)


@every
def test_the_same_seed_gives_the_same_bits(name: str, small: Dataset) -> None:
    images = small.test.images
    first = corrupt(images, name, seed=3)
    corrupt(images, "shot-noise")
    np.testing.assert_array_equal(corrupt(images, name, seed=3), first)
    assert np.array_equal(corrupt(images, name, seed=4), first) == (name in SURE)


@every
def test_the_seed_and_the_place_of_the_name_are_all_that_chance_comes_from(
    name: str, small: Dataset
) -> None:
    rng = np.random.default_rng([5, NAMES.index(name)])
    expected = CORRUPTIONS[name](small.test.images, rng)
    np.testing.assert_array_equal(corrupt(small.test.images, name, seed=5), expected)


@every
@settings(max_examples=10)
@given(images=anything, seed=st.integers(0, 2**32))
def test_any_images_can_be_corrupted(name: str, images: Images, seed: int) -> None:
    found = corrupt(images, name, seed)
    assert found.shape == images.shape
    assert found.dtype == np.uint8


@every
def test_no_image_and_one_image(name: str) -> None:
    assert corrupt(bar(0), name).shape == (0, 28, 28)
    assert corrupt(bar(1), name).shape == (1, 28, 28)


@every
def test_blank_images_stay_blank_but_for_what_is_drawn_on_them(name: str) -> None:
    """Also beside a digit: no image shows in its neighbours."""
    found = corrupt(np.concatenate([flat(0), bar(), flat(0)]), name)
    assert found[[0, 2]].any() == (name in DRAWN)
    assert found[1].any()


@pytest.mark.parametrize("name", SURE)
def test_a_digit_is_corrupted_the_same_in_any_company(name: str, small: Dataset) -> None:
    images = small.test.images[:5]
    alone = [corrupt(image[None], name)[0] for image in images]
    np.testing.assert_array_equal(corrupt(images, name), alone)


def test_an_unknown_corruption() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown corruption 'shot' \(did you mean 'shot-noise'\?\)"
    ):
        corrupt(bar(), "shot")


def test_shot_noise_counts_at_most_three_photons() -> None:
    found = corrupt(flat(51, 200), "shot-noise")  # 0.2 of full ink: a mean of 0.6 photons
    assert set(np.unique(found)) == {0, 85, 170, 255}
    for photons in range(3):
        share = math.exp(-0.6) * 0.6**photons / math.factorial(photons)
        assert (found == 85 * photons).mean() == pytest.approx(share, abs=0.005)


def test_impulse_noise_sets_17_percent_of_the_pixels() -> None:
    found = corrupt(flat(100, 200), "impulse-noise")
    assert set(np.unique(found)) == {0, 100, 255}
    for level in (0, 255):
        assert (found == level).mean() == pytest.approx(0.085, abs=0.004)


@pytest.mark.parametrize("name", ["glass-blur", "motion-blur"])
@given(level=st.integers(0, 255))
@settings(max_examples=10)
def test_a_blur_leaves_an_even_image_as_it_is(name: str, level: int) -> None:
    found = corrupt(flat(level, 2), name).astype(int)
    assert abs(found - level).max() <= 1


@pytest.mark.parametrize("name", ["glass-blur", "motion-blur"])
def test_a_blur_keeps_the_ink_and_spreads_it(name: str, small: Dataset) -> None:
    images = small.test.images
    found = corrupt(images, name)
    assert found.mean() == pytest.approx(images.mean(), rel=0.02)
    assert (found > 0).mean() > 1.2 * (images > 0).mean()
    assert found.max(axis=(1, 2)).mean() < images.max(axis=(1, 2)).mean()


def test_glass_blur_moves_pixels_about() -> None:
    found = corrupt(dot(14, 14, 500), "glass-blur")
    places = {tuple(np.unravel_index(image.argmax(), image.shape)) for image in found}
    assert len(places) > 10
    assert centre(found.mean(axis=0)) == pytest.approx((14, 14), abs=0.5)


def test_motion_blur_draws_a_trail_at_45_degrees_at_most() -> None:
    """The mean of half a Gaussian of sigma 3 at 0, 1, 2 … is 2.1."""
    for image in corrupt(dot(14, 20, 50), "motion-blur"):
        rows, columns = np.nonzero(image)
        assert columns.max() == 20
        assert (abs(rows - 14) <= 20 - columns).all()
        assert math.dist(centre(image), (14, 20)) == pytest.approx(2.1, abs=0.3)
        assert int(image.sum()) == pytest.approx(255, abs=5)


def test_a_rotation_is_by_23_degrees_either_way() -> None:
    leans = [lean(image) for image in corrupt(bar(50), "rotate")]
    np.testing.assert_allclose(np.abs(leans), math.tan(0.4), atol=0.04)
    assert 10 < sum(each > 0 for each in leans) < 40


def test_a_shear_pushes_the_rows_and_keeps_them_level() -> None:
    found = corrupt(bar(50), "shear")
    leans = [lean(image) for image in found]
    np.testing.assert_allclose(np.abs(leans), math.tan(0.4), atol=0.04)
    assert 10 < sum(each > 0 for each in leans) < 40
    level = corrupt(bar(50).transpose(0, 2, 1), "shear")
    assert set((level.max(axis=2) > 127).sum(axis=1)) <= {3, 4}


def test_a_scaled_digit_has_half_its_ink(small: Dataset) -> None:
    images = small.test.images
    found = corrupt(images, "scale")
    assert found.sum() / images.sum() == pytest.approx(0.7**2, abs=0.01)
    rows, columns = np.nonzero(corrupt(bar(), "scale")[0] > 127)
    assert np.ptp(rows) + 1 == pytest.approx(18 * 0.7, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(3 * 0.7, abs=1)


@pytest.mark.parametrize("name", ["rotate", "scale", "shear"])
def test_a_warp_keeps_the_centre(name: str) -> None:
    for image in corrupt(bar(20), name):
        assert centre(image) == pytest.approx(centre(bar()[0]), abs=1)


@given(images=anything)
def test_brightness_adds_half_of_full_ink(images: Images) -> None:
    expected = np.minimum(images.astype(int) + 128, 255)
    np.testing.assert_array_equal(corrupt(images, "brightness"), expected)


@given(row=st.integers(3, 24), column=st.integers(3, 24))
def test_a_translation_is_by_three_pixels_both_ways(row: int, column: int) -> None:
    places = {tuple(np.argwhere(image)[0]) for image in corrupt(dot(row, column, 60), "translate")}
    assert places == {(row + down, column + right) for down in (-3, 3) for right in (-3, 3)}


def test_what_is_translated_out_does_not_come_in_again() -> None:
    found = corrupt(dot(0, 14, 60), "translate")
    assert set(found.sum(axis=(1, 2))) == {0, 255}
    assert not found[:, 4:].any()


@given(images=anything)
def test_stripes_are_inverted_and_twice_inverted_nothing(images: Images) -> None:
    found = corrupt(images, "stripe")
    np.testing.assert_array_equal(found[:, :, 7:21], images[:, :, 7:21])
    for outside in (slice(7), slice(21, None)):
        np.testing.assert_array_equal(found[:, :, outside], 255 - images[:, :, outside])
    np.testing.assert_array_equal(corrupt(found, "stripe"), images)


def test_fog_leaves_a_quarter_of_the_contrast() -> None:
    images = flat(0, 50)
    images[:, ::2, ::2] = images[:, 1::2, 1::2] = 200
    found = corrupt(images, "fog").astype(float)
    inked = images[0] > 0
    # with the share s = 200 / 255 of full ink at most: s * s / (s + 3)
    contrasts = found[:, inked].mean(axis=1) - found[:, ~inked].mean(axis=1)
    share = 200 / 255
    np.testing.assert_allclose(contrasts, 255 * share**2 / (share + 3), atol=1.5)
    assert found.max() <= 201


def test_fog_is_smooth_and_of_any_strength() -> None:
    images = dot(0, 0, 200)
    found = corrupt(images, "fog").astype(float)[:, :, 1:]
    assert found.max() <= 192  # three quarters
    assert np.ptp(found.mean(axis=(1, 2))) > 100
    assert abs(np.diff(found, axis=2)).mean() < 3


def test_spatter_covers_with_dark_mud() -> None:
    blank, inked = (corrupt(flat(level, 100), "spatter") for level in (0, 255))
    mud = blank > 0
    assert 50 <= blank[mud].min() <= blank.max() == 63
    assert 63 == inked.min() <= inked[mud].max() <= 102
    assert (inked[~mud] == 255).all()
    assert 0.05 < mud.mean() < 0.3


@pytest.mark.parametrize("name", ["dotted-line", "zigzag"])
def test_a_line_takes_no_ink_away(name: str, small: Dataset) -> None:
    images = small.test.images
    assert (corrupt(images, name) >= images).all()


def test_a_dotted_line_is_drawn_in_two_columns_of_four() -> None:
    found = corrupt(flat(0, 200), "dotted-line")
    drawn = [column for column in range(27) if column % 4 >= 2]
    assert (found[:, :, drawn].max(axis=1) > 150).all()
    assert not np.delete(found, drawn, axis=2).any()
    for image in found:
        columns = np.array(drawn)[np.isin(drawn, range(6, 24))]
        rows = image[:, columns].argmax(axis=0)
        straight = np.polyval(np.polyfit(columns, rows, 1), columns)
        assert abs(rows - straight).max() <= 1


def test_a_zigzag_turns_six_times() -> None:
    found = corrupt(flat(0, 200), "zigzag")
    assert not np.delete(found, range(2, 26), axis=2).any()
    assert found.any(axis=(1, 2)).all()
    inside = found[~found[:, [0, 1, 26, 27]].any(axis=(1, 2))]  # not over the upper or lower edge
    assert len(inside) > 50
    for image in inside:
        columns = np.arange(2, 25)
        rows = np.average(np.indices((28, 23))[0], axis=0, weights=image[:, columns])
        beside = rows - np.polyval(np.polyfit(columns, rows, 1), columns)
        assert np.count_nonzero(np.diff(np.sign(np.diff(beside)))) >= 5
        assert 3 < np.ptp(beside) < 5


def test_canny_edges_are_the_outline() -> None:
    square = flat(0)
    square[:, 8:20, 8:20] = 255
    (found,) = corrupt(square, "canny-edges")
    assert set(np.unique(found)) == {0, 255}
    assert not found[10:18, 10:18].any()
    outside = found.copy()
    outside[7:21, 7:21] = 0
    assert not outside.any()
    np.testing.assert_array_equal(found, found.T)
    for line in found[10:18]:  # one or two pixels where the side is
        assert 2 <= np.count_nonzero(line) <= 4


@given(level=st.integers(0, 255))
@settings(max_examples=10)
def test_an_even_image_has_no_edges(level: int) -> None:
    assert not corrupt(flat(level), "canny-edges").any()


@given(images=anything)
@settings(max_examples=10)
def test_edges_are_all_or_nothing(images: Images) -> None:
    assert set(np.unique(corrupt(images, "canny-edges"))) <= {0, 255}


def test_faint_edges_are_kept_where_they_belong_to_strong_ones() -> None:
    """A bar that fades from a level over the upper threshold to one between both."""
    fading = flat(0)
    fading[0, 4:24, 12:17] = np.linspace(30, 8, 20).astype(np.uint8)[:, None]
    faint = np.minimum(fading, 9)
    assert corrupt(fading, "canny-edges")[0, 18:21].any()
    assert not corrupt(faint, "canny-edges").any()


def test_only_the_test_part_is_corrupted(small: Dataset) -> None:
    found = corrupted(small, "fog", seed=2)
    assert (found.name, found.origin) == ("small/fog", small.origin)
    np.testing.assert_array_equal(found.test.images, corrupt(small.test.images, "fog", seed=2))
    for part in ("train", "validation"):
        np.testing.assert_array_equal(found.part(part).images, small.part(part).images)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(found.part(part).labels, small.part(part).labels)


def test_a_dataset_is_not_corrupted_by_an_unknown_name(small: Dataset) -> None:
    with pytest.raises(UnknownNameError, match="unknown corruption 'rain'"):
        corrupted(small, "rain")


def test_a_model_is_judged_under_every_corruption(dense_run: Run, small: Dataset) -> None:
    found = robustness(dense_run.folder, small, seed=1)
    assert list(found) == NAMES
    for name, evaluation in found.items():
        assert evaluation.model == str(dense_run.folder)
        assert (evaluation.dataset, evaluation.part) == (f"small/{name}", "test")
        np.testing.assert_array_equal(evaluation.digits.labels, small.test.labels)
    expected = evaluate(dense_run.folder, corrupted(small, "zigzag", seed=1))
    np.testing.assert_array_equal(found["zigzag"].probabilities, expected.probabilities)
    clean = evaluate(dense_run.folder, small).accuracy
    assert np.mean([evaluation.accuracy for evaluation in found.values()]) < clean


def test_choices_can_be_made_on_the_validation_part(dense_run: Run, small: Dataset) -> None:
    found = robustness(dense_run.folder, small, part="validation")
    assert list(found) == NAMES
    for name, evaluation in found.items():
        assert (evaluation.dataset, evaluation.part) == (f"small/{name}", "validation")
        images = corrupt(small.validation.images, name)
        np.testing.assert_array_equal(evaluation.digits.images, images)
        np.testing.assert_array_equal(evaluation.digits.labels, small.validation.labels)


def test_a_model_is_loaded_once(
    dense_run: Run, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str | Path] = []

    def load(where: str | Path) -> object:
        loaded.append(where)
        return load_model(where)

    monkeypatch.setattr(module, "load_model", load)
    by_folder = robustness(str(dense_run.folder), small)
    assert loaded == [str(dense_run.folder)]
    model = load_model(dense_run.folder)
    for name, evaluation in robustness(model, small).items():
        assert evaluation.model == model.name
        np.testing.assert_array_equal(evaluation.probabilities, by_folder[name].probabilities)
    assert len(loaded) == 1


def test_a_digit_is_drawn_under_every_corruption(small: Dataset) -> None:
    image = small.test.images[0]
    drawn = hung(figures.corruptions(image))
    assert [label for label, _ in drawn] == NAMES
    for name, shown in drawn:
        np.testing.assert_array_equal(shown, corrupt(image[None], name)[0])
