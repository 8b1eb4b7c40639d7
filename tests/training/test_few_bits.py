"""Weights of few bits: rounded as the export takes them, and learnt all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import Dataset
from chiffres.errors import UsageError
from chiffres.evaluation.predict import predict
from chiffres.export.c import reference
from chiffres.export.c.folder import as_network
from chiffres.export.c.units import trained
from chiffres.models.backend import BACKEND, keras
from chiffres.models.files import load_model
from chiffres.training.callbacks import Randomness
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

if BACKEND != "torch":
    pytest.skip("weights of few bits are trained on Torch", allow_module_level=True)

import torch

from chiffres.training.few_bits import CUT, kernels_of, rounded


def recipe(*settings: str) -> Recipe:
    alone = ["augment=none", 'teacher=""']
    return load_recipe(
        "nano", ["epochs=3", "batch_size=50", "learning_rate=0.01", *alone, *settings]
    )


def kernels(run: Run) -> list[np.ndarray]:
    return [np.array(kernel.value.detach()) for kernel in kernels_of(load_model(run.folder))]


@pytest.fixture(scope="module")
def nano_run(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("nano") / "run"
    return train(recipe("bits=[8, 4, 3, 2]"), folder, dataset=small)


@given(st.integers(0, 2**32), st.integers(2, 8), st.booleans())
def test_rounded_weights_are_near_and_few(seed: int, bits: int, together: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn((3, 3, 2, 4), generator=generator) * torch.rand(4, generator=generator)
    found = rounded(kernel, bits, together)
    limit = 2 ** (bits - 1) - 1
    for filters in [slice(None)] if together else [slice(n, n + 1) for n in range(4)]:
        here, before = found[..., filters], kernel[..., filters]
        unit = CUT * before.abs().max() / (limit + 0.5)
        counted = here / unit
        torch.testing.assert_close(counted, counted.round(), rtol=0, atol=1e-3)
        assert counted.abs().max() <= limit + 1e-3
        inside = before.abs() <= CUT * before.abs().max()
        assert ((here - before)[inside].abs() <= 0.501 * unit).all()


def test_rounding_again_changes_nothing_but_the_unit_of_what_was_cut_off() -> None:
    kernel = torch.tensor([[-7.0], [3.2], [0.4], [6.8]])
    once = rounded(kernel, 4)
    assert (once / once.max() * 7).round().ravel().tolist() == [-7, 4, 0, 7]
    assert (rounded(torch.zeros(3, 2), 4) == 0).all()


def test_each_layer_has_as_many_bits_as_the_recipe_says(nano_run: Run) -> None:
    for kernel, bits in zip(kernels(nano_run), [8, 4, 3, 2], strict=True):
        together = kernel.ndim == 2
        weights = kernel.reshape(1, -1) if together else kernel.reshape(-1, kernel.shape[-1]).T
        unit = trained(weights.astype(float))
        assert unit is not None
        assert np.abs(np.rint(weights / unit[:, None])).max() <= 2 ** (bits - 1) - 1


def test_what_is_exported_is_what_was_trained(nano_run: Run, mnist_5k: Dataset) -> None:
    model = load_model(nano_run.folder)
    network = as_network(model, mnist_5k)
    assert [layer.bits for layer in network.convolutions] == [8, 4, 4, 4]
    images = mnist_5k.test.images
    agree = reference.classify(network, images).digits == predict(model, images).argmax(axis=1)
    assert agree.mean() > 0.98


def test_it_learns(nano_run: Run) -> None:
    losses = nano_run.history()["loss"]
    assert losses[-1] < losses[0] < 3


def test_an_interrupted_training_goes_on_with_its_full_weights(
    nano_run: Run, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Randomness.on_epoch_begin

    def interrupt(self: Randomness, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(Randomness, "on_epoch_begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(recipe("bits=[8, 4, 3, 2]"), tmp_path / "run", dataset=small)
    run = Run(tmp_path / "run")
    assert run.metrics()["epochs"] == 2
    assert trained(kernels(run)[1].reshape(-1, 12).T.astype(float)) is None
    train(recipe("bits=[8, 4, 3, 2]"), run.folder, dataset=small, resume=True)
    assert run.history() == nano_run.history()
    for mine, theirs in zip(kernels(run), kernels(nano_run), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_bits_are_as_many_as_there_are_layers_with_weights(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"bits = \[4, 4\]: 2 numbers for the 4 layers of"):
        train(recipe("bits=[4, 4]"), tmp_path / "run", dataset=small)
    assert list(tmp_path.iterdir()) == []


def test_the_models_for_microcontrollers_are_native() -> None:
    from chiffres.models import build_model
    from chiffres.native.step import Step

    model = build_model("nano")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    Step(model, training=True)  # raises NotLowered where a layer is not
    inputs = torch.rand((5, 28, 28, 1)) * 255
    operations = Step(model, training=False).operations
    for operation, layer in zip(operations[:-1], model.layers[:-1], strict=True):
        expected = layer(inputs)
        torch.testing.assert_close(operation(inputs), expected, atol=1e-4, rtol=0)
        inputs = expected.detach()
        if isinstance(layer, keras.layers.ReLU):
            assert float(inputs.max()) <= 255 / 32
