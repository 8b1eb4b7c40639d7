from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chiffres.data import Dataset, Digits
from chiffres.data.forms import unusual_forms
from chiffres.data.hand import rewritten
from chiffres.data.negatives import training_negatives
from chiffres.data.strokes import CONTOUR
from chiffres.data.touching import touching_digits
from chiffres.models import build_model
from chiffres.models.backend import BACKEND
from chiffres.training.augment import Augmentation
from chiffres.training.batches import Batches, Examples, make_batches, with_additions
from chiffres.training.loss import NOT_A_DIGIT
from chiffres.training.recipe import Recipe

Pairs = list[tuple[np.ndarray, np.ndarray]]
SHIFT = Augmentation(shift=2, effects={"noisy": 0.5})

both_kinds = pytest.mark.parametrize("make", [Batches, make_batches])


def given_by(batches: Any) -> Pairs:
    """Return all batches of a pass, whichever way they are asked for."""
    asked = (batches[i] for i in range(len(batches))) if type(batches) is Batches else batches
    return [(np.asarray(inputs), np.asarray(labels)) for inputs, labels in asked]


def passes(batches: Any, *seeds: int) -> list[Pairs]:
    """Return a pass for each seed."""
    found = []
    for seed in seeds:
        batches.shuffle(np.random.default_rng(seed))
        found.append(given_by(batches))
    return found


def assert_same(one: Pairs, other: Pairs) -> None:
    for mine, theirs in zip(one, other, strict=True):
        for array, expected in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(128, [100]), (40, [40, 40, 20]), (50, [50] * 2)]
)
def test_all_digits_are_given_once(small: Dataset, batch_size: int, sizes: list[int]) -> None:
    model = build_model("dense")
    batches = Batches(small.test, model, batch_size)
    given = [batches[index] for index in range(len(batches))]
    assert [len(labels) for _, labels in given] == sizes
    inputs = np.concatenate([inputs for inputs, _ in given])
    np.testing.assert_array_equal(inputs, small.test.images.reshape(100, 784))
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in given]), small.test.labels
    )
    assert inputs.dtype == np.float32


def test_an_order_is_drawn_from_the_generator(small: Dataset) -> None:
    batches = Batches(small.test, build_model("conv"), 100)
    orders = []
    for seed in (1, 1, 2):
        batches.shuffle(np.random.default_rng(seed))
        inputs, labels = batches[0]
        orders.append(inputs)
        assert inputs.shape == (100, 28, 28, 1)
        digits = {image.tobytes(): label for image, label in zip(inputs, labels, strict=True)}
        for image, label in zip(small.test.images, small.test.labels, strict=True):
            assert digits[image.astype(np.float32).tobytes()] == label
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


@pytest.mark.skipif(BACKEND != "torch", reason="one kind of batches on this backend")
def test_both_kinds_give_the_same_batches(small: Dataset) -> None:
    model = build_model("conv")
    mine, theirs = (passes(make(small.test, model, 40), 1)[0] for make in (Batches, make_batches))
    assert_same(mine, theirs)


@both_kinds
def test_a_share_of_the_digits_is_another_one_each_time(
    make: Callable[..., Any], small: Dataset
) -> None:
    batches = make(small.test, build_model("conv"), 40, None, 70)
    assert len(batches) == 2
    first, again, other = passes(batches, 1, 1, 2)
    assert [len(labels) for _, labels in first] == [40, 30]
    assert_same(first, again)
    drawn = [
        {image.tobytes() for x, _ in each for image in x.astype("f4")} for each in (first, other)
    ]
    assert drawn[0] != drawn[1]
    assert drawn[0] < {image.astype("f4").tobytes() for image in small.test.images}


@both_kinds
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_augmented_batches_are_drawn_from_the_generator(
    make: Callable[..., Any], name: str, small: Dataset
) -> None:
    model = build_model(name)
    first, again, other = passes(make(small.test, model, 40, SHIFT), 1, 1, 2)
    assert_same(first, again)
    assert_same(first, passes(make(small.test, model, 40, SHIFT), 1)[0])
    assert [inputs.shape for inputs, _ in first] == [
        (size, *model.input_shape[1:]) for size in (40, 40, 20)
    ]
    assert all(inputs.dtype == np.float32 for inputs, _ in first)
    assert (first[0][0] != other[0][0]).any()


@both_kinds
def test_each_epoch_and_each_batch_is_augmented_by_a_chance_of_its_own(
    make: Callable[..., Any], small: Dataset
) -> None:
    """The same digit 30 times, so that nothing but the augmentation tells them apart."""
    digits = small.test.take(np.zeros(30, int))
    epochs = passes(make(digits, build_model("conv"), 10, SHIFT), 1, 2)
    images = [image.tobytes() for epoch in epochs for inputs, _ in epoch for image in inputs]
    assert len(set(images)) == 60


@both_kinds
def test_augmentation_changes_images_and_neither_their_order_nor_their_labels(
    make: Callable[..., Any], small: Dataset
) -> None:
    model = build_model("conv")
    plain = passes(make(small.test, model, 40), 1)[0]
    augmented = passes(make(small.test, model, 40, Augmentation()), 1)[0]
    for (inputs, labels), (same_inputs, same_labels) in zip(plain, augmented, strict=True):
        np.testing.assert_allclose(same_inputs, inputs, atol=1)
        np.testing.assert_array_equal(same_labels, labels)
    changed = passes(make(small.test, model, 40, SHIFT), 1)[0]
    assert (changed[0][0] != plain[0][0]).any()


@both_kinds
def test_the_digits_themselves_are_never_changed(make: Callable[..., Any], small: Dataset) -> None:
    before = small.test.images.copy()
    passes(make(small.test, build_model("conv"), 40, SHIFT), 1, 2)
    np.testing.assert_array_equal(small.test.images, before)


# What a recipe adds


def asked(seed: int = 7, **shares: float) -> Recipe:
    return Recipe(model="conv", seed=seed, **shares)  # type: ignore[arg-type]


def test_a_recipe_that_adds_nothing_leaves_the_digits(small: Dataset) -> None:
    assert with_additions(small.test, asked()) is small.test


def test_digits_in_unusual_forms_are_rewritten_too(small: Dataset) -> None:
    examples = with_additions(small.test, asked(forms=0.2, rewritten=0.4))
    known = Digits(examples.images[:120], examples.labels[:120])
    images, labels = rewritten(known, 40, 7)
    np.testing.assert_array_equal(examples.images[120:], images)
    np.testing.assert_array_equal(examples.labels[120:], labels)


def test_rewritten_ones_follow_all_others(small: Dataset) -> None:
    examples = with_additions(small.test, asked(negatives=0.5, rewritten=0.4))
    assert len(examples.images) == len(examples) == 190
    drawn = Examples(examples.images[:150], examples.labels[:150])
    for found, expected in zip(
        (examples.images[150:], examples.labels[150:]), rewritten(drawn, 40, 7), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert 4 <= (examples.labels[150:] == NOT_A_DIGIT).sum() <= 25  # a third of 40


def test_the_faintest_ink_is_rewritten_too() -> None:
    shade = np.linspace(0, CONTOUR, 28 * 28).astype(np.uint8).reshape(1, 28, 28)
    images, labels = rewritten(Examples(shade, np.full(1, NOT_A_DIGIT, np.uint8)), 40, 1)
    assert (images.max(axis=(1, 2)) >= CONTOUR).all()
    assert set(labels) == {NOT_A_DIGIT}


def test_forms_are_digits_and_touching_ones_are_none(small: Dataset) -> None:
    examples = with_additions(small.test, asked(forms=0.2, negatives=0.1, touching=0.3))
    assert len(examples.images) == len(examples) == 160
    assert set(examples.labels[100:120]) <= {0, 1, 7, 9}
    assert set(examples.labels[120:]) == {NOT_A_DIGIT}
    np.testing.assert_array_equal(examples.images[100:120], unusual_forms(small.test, 20, 7)[0])
    np.testing.assert_array_equal(examples.images[130:], touching_digits(small.test, 30, 7))


@pytest.mark.parametrize(("share", "count"), [(0.25, 25), (0.004, 0), (1, 100)])
def test_negatives_follow_the_digits(small: Dataset, share: float, count: int) -> None:
    examples = with_additions(small.test, asked(negatives=share))
    assert len(examples) == len(examples.images) == 100 + count
    np.testing.assert_array_equal(examples.images[:100], small.test.images)
    np.testing.assert_array_equal(examples.labels[:100], small.test.labels)
    np.testing.assert_array_equal(examples.images[100:], training_negatives(count, 7)[0])
    np.testing.assert_array_equal(examples.labels[100:], np.full(count, NOT_A_DIGIT))
    assert examples.images.dtype == examples.labels.dtype == np.uint8


def test_negatives_are_drawn_from_the_seed(small: Dataset) -> None:
    drawn = [with_additions(small.test, asked(negatives=0.1, seed=s)).images for s in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@both_kinds
def test_negatives_are_shuffled_among_the_digits(make: Callable[..., Any], small: Dataset) -> None:
    examples = with_additions(small.test, asked(negatives=1))
    (batches,) = passes(make(examples, build_model("conv"), 50, SHIFT), 1)
    assert [len(labels) for _, labels in batches] == [50] * 4
    counts = [int((labels == NOT_A_DIGIT).sum()) for _, labels in batches]
    assert sum(counts) == 100
    assert all(10 < count < 40 for count in counts)
    assert all(labels.dtype == np.int64 for _, labels in batches)
