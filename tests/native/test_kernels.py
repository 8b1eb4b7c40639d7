"""The C kernels against their plain twins."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chiffres.models.backend import BACKEND

if BACKEND != "torch":
    pytest.skip("the native step is for the Torch backend", allow_module_level=True)

import torch

from chiffres.native import kernels, reference
from tests.native.conftest import KERNELS, run

Array = npt.NDArray[Any]


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Draw n, height, width, size and filters."""
    size = draw(st.integers(1, kernels.MAX_SIZE))
    side = st.integers(size + 1, size + 9)
    return draw(st.integers(1, 19)), draw(side), draw(side), size, draw(st.integers(1, 35))


def drawn(shape: tuple[int, int, int, int, int], seed: int = 0) -> tuple[Array, Array, Array]:
    """Draw images, weights and bias; many pixels are 0, as in digits.

    All are whole 32nds, of which float32 sums a window exactly: which value of a pooling window
    wins, and whether it is above 0, is then the same in float64, however near two sums are.
    """
    n, height, width, size, filters = shape
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, height, width)) * (rng.random((n, height, width)) < 0.5)
    weights, bias = rng.normal(size=(size, size, filters)), rng.normal(size=filters)
    exact = [np.rint(32 * each) / 32 for each in (images, weights, bias)]
    return exact[0].astype("f4"), exact[1].astype("f4"), exact[2].astype("f4")


def apply(name: str, images: Array, weights: Array, bias: Array, seed: int = 1) -> list[Array]:
    """Return the output of a convolution and, for a random gradient of it, the two it makes."""
    kernel = torch.tensor(weights[:, :, None]).requires_grad_()
    offset = torch.tensor(bias).requires_grad_()
    output = getattr(kernels, name)(torch.tensor(images[..., None]), kernel, offset)
    gradient = gradient_of(tuple(output.shape), seed)
    found = torch.autograd.grad(output, [kernel, offset], torch.tensor(gradient))
    return [output.detach().numpy(), found[0][:, :, 0].numpy(), found[1].numpy()]


def gradient_of(shape: tuple[int, ...], seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def expected(name: str, images: Array, weights: Array, bias: Array) -> list[Array]:
    """Return the same from the references, in float64."""
    x, w, b, size = images.astype("f8"), weights.astype("f8"), bias.astype("f8"), len(weights)
    if name == "conv_relu":
        maps = reference.conv_relu(x, w, b)
        return [maps, *reference.conv_relu_gradients(x, maps, gradient_of(maps.shape), size)]
    pooled, winners = reference.conv_relu_pool(x, w, b)
    gradient = gradient_of(pooled.shape)
    return [pooled, *reference.conv_relu_pool_gradients(x, winners, gradient, size)]


@pytest.mark.parametrize("name", ["conv_relu", "conv_relu_pool"])
@given(shape=shapes())
@example(shape=(6, 9, 14, 6, 30))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_outputs_and_gradients_are_the_references(
    native: ctypes.CDLL, name: str, shape: tuple[int, int, int, int, int]
) -> None:
    inputs = drawn(shape)
    results, references = apply(name, *inputs), expected(name, *inputs)
    np.testing.assert_allclose(results[0], references[0], rtol=1e-5, atol=1e-4)
    for found, wanted in zip(results, references, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * (1 + abs(wanted).max()))


@pytest.mark.parametrize("name", ["conv_relu", "conv_relu_pool"])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 17, 128])
def test_any_number_of_threads_gives_the_same_bits(
    native: ctypes.CDLL, threads: int, name: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = drawn((n, 28, 28, 3, 32))
    found = apply(name, *inputs)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for bits, wanted in zip(found, apply(name, *inputs), strict=True):
        np.testing.assert_array_equal(bits, wanted)


@st.composite
def small_maps(draw: st.DrawFn) -> tuple[list[Array], int]:
    """Draw maps, a kernel and a bias as ``convolve`` takes them, and how many zeros go around."""
    size = draw(st.integers(1, 5))
    height, width = draw(st.integers(size, size + 9)), draw(st.integers(size, size + 9))
    channels, filters = 16 * draw(st.integers(1, 3)), 16 * draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    shapes = (
        (draw(st.integers(1, 19)), height, width, channels),
        (size, size, channels, filters),
        (filters,),
    )
    return [rng.normal(size=shape).astype("f4") for shape in shapes], draw(st.integers(0, size - 1))


def with_gradients(
    function: Any, inputs: list[Array], *options: Any, gradient: Array | None = None
) -> list[Array]:
    """Return the output of a kernel and, for a gradient of it, drawn or given, its inputs'."""
    tensors = [torch.tensor(each).requires_grad_() for each in inputs]
    output = function(*tensors, *options)
    output = output[0] if isinstance(output, tuple) else output
    if gradient is None:
        gradient = gradient_of(tuple(output.shape))
    found = torch.autograd.grad(output, tensors, torch.tensor(gradient))
    return [each.detach().numpy() for each in (output, *found)]


@given(drawn_maps=small_maps(), with_bias=st.booleans())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_small_convolutions_are_the_references(
    native: ctypes.CDLL, drawn_maps: tuple[list[Array], int], with_bias: bool
) -> None:
    (maps, kernel, bias), padding = drawn_maps
    if with_bias:
        found = with_gradients(kernels.convolve, [maps, kernel, bias], padding)
    else:
        found = with_gradients(kernels.convolve, [maps, kernel], None, padding)
        bias *= 0
    exact = maps.astype("f8"), kernel.astype("f8")
    outputs = reference.convolve(*exact, padding) + bias
    gradient = gradient_of(outputs.shape).astype("f8")
    wanted = [outputs, *reference.convolve_gradients(*exact, padding, gradient)]
    wanted += [gradient.sum((0, 1, 2))] if with_bias else []
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * (1 + abs(other).max()))


def is_plain(maps: Array, scale: Array, offset: Array, pool: bool) -> Array:
    """Return where it is plain, in float32 too, what is above 0 and which pixel is the largest."""
    values = reference.normal_of(maps, 1e-3) * scale + offset
    if not pool:
        return np.asarray(abs(values) > 1e-3)
    *_, second, first = np.moveaxis(np.sort(reference.fours_of(values), axis=3), 3, 0)
    return np.asarray((abs(first) > 1e-3) & (first - second > 1e-3))


@given(
    shape=st.tuples(st.integers(1, 19), *[st.integers(2, 11)] * 2, st.integers(1, 35)),
    level=st.sampled_from([0, 1, -300]),
    pool=st.booleans(),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_normalized_maps_are_the_references(
    native: ctypes.CDLL, shape: tuple[int, int, int, int], level: int, pool: bool
) -> None:
    rng = np.random.default_rng(0)
    maps = (rng.normal(size=shape) + level).astype("f4")
    scale, offset = rng.normal(size=(2, shape[-1])).astype("f4")
    exact = maps.astype("f8"), scale.astype("f8"), offset.astype("f8")
    outputs = reference.normalize(*exact, 1e-3, pool)
    gradient = np.where(is_plain(*exact, pool), gradient_of(outputs.shape), 0).astype("f4")
    found = with_gradients(kernels.normalize, [maps, scale, offset], 1e-3, pool, gradient=gradient)
    wanted = [outputs, *reference.normalize_gradients(*exact, 1e-3, pool, gradient.astype("f8"))]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * (1 + abs(other).max()))
    tensors = torch.tensor(maps), torch.tensor(scale), torch.tensor(offset)
    _, mean, variance = kernels.normalize(*tensors, 1e-3, pool)
    np.testing.assert_allclose(mean, exact[0].mean((0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, exact[0].var((0, 1, 2)), rtol=1e-4, atol=1e-6)


def test_normalized_maps_that_are_not_numbers_are_seen(native: ctypes.CDLL) -> None:
    maps = torch.ones((2, 4, 4, 17))
    maps[1, 2, 2, 16] = torch.nan
    for pool in (False, True):
        outputs, mean, variance = kernels.normalize(
            maps, torch.ones(17), torch.zeros(17), 1e-3, pool
        )
        for numbers in (outputs[..., 16], mean[16], variance[16]):
            assert numbers.isnan().any()
        assert not outputs[..., :16].isnan().any()


@pytest.mark.parametrize("n", [1, 3, 64])
def test_any_number_of_threads_gives_the_same_bits_inside(
    native: ctypes.CDLL, threads: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)

    def drawn_as(*shape: int) -> Array:
        return np.asarray(rng.normal(size=shape), "f4")

    convolved = [drawn_as(n, 11, 9, 16), drawn_as(3, 3, 16, 48), drawn_as(48)]
    normalized = [drawn_as(n, 11, 9, 35), drawn_as(35), drawn_as(35)]

    def all_found() -> list[Array]:
        found = with_gradients(kernels.convolve, convolved, 1)
        for pool in (False, True):
            found += with_gradients(kernels.normalize, normalized, 1e-3, pool)
        return found

    found = all_found()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for bits, wanted in zip(found, all_found(), strict=True):
        np.testing.assert_array_equal(bits, wanted)


@st.composite
def flattened(draw: st.DrawFn) -> tuple[list[Array], bool, kernels.Drop]:
    """Draw images on a background, sizes ``conv_dense`` takes, whether to pool, and dropout."""
    n, height, width, size, _ = draw(shapes())
    pool = draw(st.booleans())
    filters, units = 16 * draw(st.integers(1, 4)), 16 * draw(st.integers(1, 9))
    n *= draw(st.sampled_from([1, 1, 9]))  # more images than a tile too
    inputs = drawn((n, height, width, size, filters), seed=draw(st.integers(0, 9)))
    images = np.full_like(inputs[0], draw(st.sampled_from([0, 0, -0.5, 3])))
    left, top = draw(st.integers(0, width)), draw(st.integers(0, height))
    images[:, top:, left:] = inputs[0][:, top:, left:]
    area = (height - size + 1) // (1 + pool) * ((width - size + 1) // (1 + pool))
    dense = np.random.default_rng(1).normal(size=(area * filters, units)).astype("f4")
    drop = draw(
        st.sampled_from([kernels.KEEP_ALL, kernels.Drop(0.3, 7, 2), kernels.Drop(0.9, 1, 0)])
    )
    return [images, *inputs[1:], dense], pool, drop


def apply_dense(
    inputs: list[Array], pool: bool, drop: kernels.Drop = kernels.KEEP_ALL
) -> list[Array]:
    """Return the outputs and, for a random gradient of them, the three it makes."""
    images, weights, bias, dense = [torch.tensor(each) for each in inputs]
    parameters = weights.unsqueeze(2), bias, dense
    for each in parameters:
        each.requires_grad_()
    output = kernels.conv_dense(images.unsqueeze(-1), *parameters, pool, drop)
    gradient = torch.tensor(gradient_of(tuple(output.shape)))
    kernel, *others = torch.autograd.grad(output, parameters, gradient)
    return [output.detach().numpy(), kernel.squeeze(2).numpy(), *(each.numpy() for each in others)]


@given(drawn_inputs=flattened())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_flattened_maps_times_a_dense_layer_are_the_references(
    native: ctypes.CDLL, drawn_inputs: tuple[list[Array], bool, kernels.Drop]
) -> None:
    inputs, pool, drop = drawn_inputs
    images, weights, bias, dense = [each.astype("f8") for each in inputs]
    filters = weights.shape[-1]
    threshold, _, seed, draw = drop.arguments
    factors = reference.factors(len(images), len(dense) // filters, filters, threshold, seed, draw)
    output, _ = reference.conv_dense(images, weights, bias, dense, pool, factors)
    gradients = reference.conv_dense_gradients(
        images, weights, bias, dense, pool, factors, gradient_of(output.shape)
    )
    for found, wanted in zip(apply_dense(inputs, pool, drop), [output, *gradients], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * (1 + abs(wanted).max()))


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize("drop", [kernels.KEEP_ALL, kernels.Drop(0.3, 1, 2)])
@pytest.mark.parametrize("n", [1, 3, 128])
def test_any_number_of_threads_gives_the_same_bits_before_a_dense_layer(
    native: ctypes.CDLL,
    threads: int,
    pool: bool,
    drop: kernels.Drop,
    n: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    area = 169 if pool else 676
    inputs = [*drawn((n, 28, 28, 3, 32)), gradient_of((area * 32, 64))]
    found = apply_dense(inputs, pool, drop)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for bits, wanted in zip(found, apply_dense(inputs, pool, drop), strict=True):
        np.testing.assert_array_equal(bits, wanted)


@pytest.mark.parametrize("pool", [False, True])
def test_only_windows_with_another_pixel_than_the_background_are_active(
    native: ctypes.CDLL, pool: bool
) -> None:
    images = np.zeros((2, 9, 11), "f4")
    images[1, 4, 5] = 1e-30
    active = torch.full((2, (7 >> pool) * (9 >> pool)), 9, dtype=torch.uint8)
    flat = torch.zeros(9, 11)
    tensors = torch.tensor(images), flat, active
    native.find_active(*[each.data_ptr() for each in tensors], 2, 9, 11, 3, int(pool), 2)
    dense = np.zeros((active.shape[1], 16))
    _, wanted = reference.conv_dense(
        images, np.zeros((3, 3, 1)), np.zeros(1), dense, pool, np.ones(1)
    )
    np.testing.assert_array_equal(active.numpy(), wanted.reshape(2, -1))
    assert 0 < active.sum() < 10


@given(
    rows=st.integers(1, 140),
    count=st.integers(1, 140),
    columns=st.integers(1, 300),
    share=st.sampled_from([0.0, 0.2, 1.0]),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_product_without_its_zeros_is_the_references(
    native: ctypes.CDLL, rows: int, count: int, columns: int, share: float
) -> None:
    rng = np.random.default_rng(rows)
    left = (rng.normal(size=(rows, count)) * (rng.random((rows, count)) < share)).astype("f4")
    right = gradient_of((count, columns))
    kernel = torch.tensor(right).requires_grad_()
    product = kernels.multiply_zeros(torch.tensor(left), kernel)
    gradient = gradient_of((rows, columns))
    (found,) = torch.autograd.grad(product, kernel, torch.tensor(gradient))
    wanted = reference.multiply_zeros(left.astype("f8"), right)
    np.testing.assert_allclose(product.detach(), wanted, rtol=1e-5, atol=1e-4)
    wanted = reference.multiply_zeros(left.astype("f8").T, gradient)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


def test_a_product_without_its_zeros_has_the_same_bits_on_any_number_of_threads(
    native: ctypes.CDLL, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = torch.tensor(gradient_of((130, 70))).relu(), torch.tensor(gradient_of((70, 300)))
    found = kernels.multiply_zeros(left, right)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert (found == kernels.multiply_zeros(left, right)).all()


def dense_layers(
    sizes: list[int], n: int, share: float, drop: kernels.Drop = kernels.KEEP_ALL
) -> tuple[Array, Array, list[Array], list[Array], list[kernels.Drop]]:
    """Draw inputs, of which ``share`` is not 0, labels, weights, biases and dropouts."""
    rng = np.random.default_rng(sum(sizes))
    x = rng.normal(size=(n, sizes[0])) * (rng.random((n, sizes[0])) < share)
    pairs = list(itertools.pairwise(sizes))
    weights = [(rng.normal(size=pair) / np.sqrt(pair[0])).astype("f4") for pair in pairs]
    biases = [rng.normal(size=units).astype("f4") for units in sizes[1:]]
    labels = rng.integers(sizes[-1], size=n)
    return x.astype("f4"), labels, weights, biases, [drop] * (len(pairs) - 1)


def found_by_head(
    x: Array, labels: Array, weights: list[Array], biases: list[Array], drops: Any, given: bool
) -> list[Array]:
    tensors = [[torch.tensor(each) for each in arrays] for arrays in (weights, biases)]
    run = kernels.DenseLoss(*tensors)
    entering = torch.tensor(x @ weights[0] if given else x)
    for _ in range(2):  # the second time in the arrays of the first
        loss, right, logits = run(entering, torch.tensor(labels), drops, given)
    assert right == (logits.argmax(1).numpy() == labels).sum()
    kernel_gradients = run.of_kernels[1:] if given else run.of_kernels
    product = [run.of_values[0]] if given else []
    return [
        each.numpy()
        for each in (
            *(torch.tensor(loss), logits),
            *(*kernel_gradients, *run.of_biases, *product),
        )
    ]


@given(
    sizes=st.lists(st.integers(1, 90), min_size=3, max_size=5),
    n=st.integers(1, 140),
    share=st.sampled_from([0.2, 1.0]),
    rate=st.sampled_from([0.0, 0.4]),
    given_product=st.booleans(),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_dense_layers_with_their_loss_are_the_references(
    native: ctypes.CDLL,
    sizes: list[int],
    n: int,
    share: float,
    rate: float,
    given_product: bool,
) -> None:
    drop = kernels.Drop(rate, 5, 1)
    x, labels, weights, biases, drops = dense_layers(sizes, n, share, drop)
    threshold, scale, seed, draw = drop.arguments
    factors = [
        (reference.kept(n * units, threshold, seed, draw) * scale).reshape(n, units)
        for units in sizes[1:-1]
    ]
    wide, wide_biases = ([each.astype("f8") for each in arrays] for arrays in (weights, biases))
    loss, logits, of_weights, of_biases, of_product = reference.dense_loss(
        x.astype("f8"), labels, wide, wide_biases, factors
    )
    wanted = [np.array(loss), logits, *of_weights, *of_biases]
    if given_product:
        wanted = [np.array(loss), logits, *of_weights[1:], *of_biases, of_product]
    found = found_by_head(x, labels, weights, biases, drops, given_product)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * (1 + abs(other).max()))


def test_dense_layers_give_the_same_bits_on_any_number_of_threads(
    native: ctypes.CDLL, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = dense_layers([784, 300, 300, 10], 128, 0.2, kernels.Drop(0.2, 1, 1))
    found = found_by_head(*layers, given=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for bits, wanted in zip(found, found_by_head(*layers, given=False), strict=True):
        np.testing.assert_array_equal(bits, wanted)


def test_the_winner_is_the_first_of_equal_ones_and_gets_the_whole_gradient(
    native: ctypes.CDLL,
) -> None:
    images = np.ones((1, 4, 4), "f4")
    _, gradient, bias = apply("conv_relu_pool", images, np.ones((1, 1, 1), "f4"), np.zeros(1, "f4"))
    assert bias == pytest.approx(gradient_of((1, 2, 2, 1)).sum())
    assert gradient.item() == pytest.approx(bias.item())


def test_what_is_not_a_number_is_seen(native: ctypes.CDLL) -> None:
    images, weights, bias = drawn((2, 8, 8, 3, 5))
    images[1, 4, 4] = np.nan
    for name in ("conv_relu", "conv_relu_pool"):
        output = apply(name, images, weights, bias)[0]
        assert np.isnan(output[1]).any()
        assert not np.isnan(output[0]).any()


def test_the_generator_is_philox() -> None:
    """The known answer of the authors' Random123 for a counter and a key of zeros."""
    block = reference.philox(np.zeros((1, 4), np.uint32), (0, 0))[0]
    assert [hex(word) for word in block] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


@pytest.mark.parametrize("count", [1, 15, 16, 127, 128, 129, 5000])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.999999])
def test_dropout_keeps_what_the_reference_keeps(
    native: ctypes.CDLL, threads: int, count: int, rate: float
) -> None:
    values = torch.arange(1, count + 1, dtype=torch.float32).requires_grad_()
    output = kernels.dropout(values, kernels.Drop(rate, 2**32 - 1, 5))
    threshold = min(round(rate * 2**16), 2**16 - 1)
    scale = np.where(reference.kept(count, threshold, 2**32 - 1, 5), 2**16 / (2**16 - threshold), 0)
    np.testing.assert_allclose(output.detach().numpy(), np.arange(1, count + 1) * scale, rtol=1e-6)
    (gradient,) = torch.autograd.grad(output.sum(), values)
    np.testing.assert_allclose(gradient.numpy(), scale, rtol=1e-6)


def test_some_rows_are_dropped_as_they_are_in_the_whole_batch(
    native: ctypes.CDLL, threads: int
) -> None:
    drop = kernels.Drop(0.3, 7, 2)
    values = torch.rand((17, 45)) + 1
    whole = kernels.dropout(values, drop)
    for first, end in [(0, 5), (5, 16), (16, 17), (3, 3)]:
        rows = kernels.dropout(values[first:end], drop._replace(first=first, whole=17))
        np.testing.assert_array_equal(rows, whole[first:end])


@pytest.mark.parametrize("filters", [16, 32, 48])
def test_some_images_are_as_they_are_in_the_whole_batch(native: ctypes.CDLL, filters: int) -> None:
    images, *others = drawn((150, 9, 9, 3, filters))
    images[:, 0, 0] = images[:, 0, 1] = 0  # the background is the first pixel of all
    inputs = [images, *others, gradient_of((9 * filters, 32))]
    drop = kernels.Drop(0.3, 7, 2)
    whole = apply_dense(inputs, True, drop)[0]
    for first, end in [(0, 70), (70, 149), (149, 150)]:
        some = [images[first:end], *inputs[1:]]
        rows = apply_dense(some, True, drop._replace(first=first, whole=150))[0]
        np.testing.assert_allclose(rows, whole[first:end], rtol=1e-5, atol=1e-5)


def test_the_losses_of_some_rows_add_up_to_that_of_the_whole_batch(native: ctypes.CDLL) -> None:
    drop = kernels.Drop(0.4, 5, 1)
    x, labels, weights, biases, drops = dense_layers([20, 33, 17, 10], 30, 1.0, drop)
    wanted = found_by_head(x, labels, weights, biases, drops, False)
    parts = []
    for first, end in [(0, 11), (11, 30)]:
        run = kernels.DenseLoss(*[[torch.tensor(w) for w in all_] for all_ in (weights, biases)])
        own = [each._replace(first=first, whole=30) for each in drops]
        rows = torch.tensor(x[first:end]), torch.tensor(labels[first:end])
        loss, _, logits = run(*rows, own, False, 30)
        np.testing.assert_allclose(logits, wanted[1][first:end], rtol=1e-5, atol=1e-6)
        share = (end - first) / 30
        parts.append([torch.tensor(loss * share), *run.of_kernels, *run.of_biases])
    for both, whole in zip(zip(*parts, strict=True), [wanted[0], *wanted[2:]], strict=True):
        np.testing.assert_allclose(sum(both), whole, rtol=1e-4, atol=1e-6)


def test_dropout_keeps_the_mean_and_draws_anew() -> None:
    kept = [reference.kept(10**6, 13107, 1, draw) for draw in (0, 1)]
    for each in kept:
        assert each.mean() == pytest.approx(1 - 13107 / 2**16, abs=5 * 0.4 / 1000)
    both = (kept[0] & kept[1]).mean()
    assert both == pytest.approx(0.8**2, abs=0.003)


def test_dropout_drops_infinities_too(native: ctypes.CDLL) -> None:
    output = kernels.dropout(torch.full((1000,), torch.inf), kernels.Drop(0.5, 1, 1))
    assert set(output.tolist()) == {0.0, torch.inf}


def test_the_kernels_can_be_turned_off() -> None:
    code = "from chiffres.native import kernels; print(kernels.LIBRARY)"
    environment = os.environ | {"CHIFFRES_NATIVE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "None"


def test_a_file_that_is_no_library_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "kernels.so").write_text("nothing")
    assert kernels.open_library(tmp_path / "kernels.so") is None


@pytest.mark.parametrize("instruction_set", kernels.INSTRUCTION_SETS)
def test_the_sanitizers_find_nothing(compiler: str, tmp_path: Path, instruction_set: str) -> None:
    """Each kernel on arrays of just the right size, at 1, 2 and 3 threads."""
    level = kernels.INSTRUCTION_SETS.index(instruction_set)
    baseline = kernels.open_library(kernels.built("baseline"))
    if level > 0 and (baseline is None or level > baseline.instruction_set()):
        pytest.skip(f"this processor has no {instruction_set}, or the kernels were not built")
    program = tmp_path / "check"
    avx512 = "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"
    sets = (), ("-mavx2", "-mfma"), avx512
    checks = "-fsanitize=address,undefined -fno-sanitize-recover=all -g -O1 -Wall -Wextra -Werror"
    run(
        *[compiler, "-std=c11", "-Wno-psabi", *sets[level], *checks.split()],
        *["-fopenmp", str(KERNELS), str(Path(__file__).with_name("check_kernels.c"))],
        *["-lm", "-o", str(program)],
    )
    assert run(str(program)).endswith("checked\n")
