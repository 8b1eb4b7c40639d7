"""Compiling what is exported, and models to export."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import reject
from hypothesis import strategies as st

from chiffres.bench.embedded import STRICT, answers_of, run, run_program
from chiffres.export.c import generate
from chiffres.export.c.network import Network
from chiffres.export.c.reference import Answers
from chiffres.models.backend import keras

Images = npt.NDArray[np.uint8]
layers = keras.layers
NOISE: Images = np.random.default_rng(5).integers(256, size=(12, 28, 28), dtype=np.uint8)
NOISE[0], NOISE[1] = 0, 255
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")


@pytest.fixture(scope="session")
def compiler() -> str:
    """A C compiler, which the machine that tests may lack."""
    found = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler on the path")
    return found


@pytest.fixture(scope="session")
def sanitizers(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The flags for both sanitizers, which a compiler may lack."""
    folder = tmp_path_factory.mktemp("sanitizers")
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    try:
        run(compiler, *SANITIZERS, "-o", str(folder / "empty"), str(folder / "empty.c"))
        run(str(folder / "empty"))
    except Exception as error:
        pytest.skip(f"the compiler has no sanitizers: {error}")
    return SANITIZERS


def run_on_host(
    network: Network, images: Images, compiler: str, flags: Sequence[str] = ("-O2",)
) -> Answers:
    """Return what the exported code of ``network`` answers on this machine."""
    with tempfile.TemporaryDirectory() as name:
        for file, text in generate.model_files(network, "test", "a test").items():
            Path(name, file).write_text(text)
        records = run_program(Path(name), images, (compiler, *STRICT, "-Wpedantic", *flags))
    return answers_of(records)


def assert_same(answers: Answers, others: Answers) -> None:
    """Hold each score, digit and confidence against the other, to the bit."""
    for one, other in zip(answers, others, strict=True):
        np.testing.assert_array_equal(one, other)


def sequential(*stack: Any, shape: tuple[int, ...] = (28, 28, 1)) -> keras.Sequential:
    return keras.Sequential([keras.Input(shape), *stack])


def drawn(draw: Callable[[st.SearchStrategy[Any]], Any], shape: tuple[int, ...]) -> Any:
    """Return a model of drawn layers, with random weights."""
    try:
        model = sequential(*stack_of(draw), shape=shape)
    except ValueError:  # a window larger than what is left of the image
        reject()
    return with_random_weights(model)


def with_random_weights(model: keras.Sequential, seed: int = 0) -> keras.Sequential:
    """Draw all weights, also those that start as zeros or ones; variances are above 0.5."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(size=weight.shape) / np.sqrt(2 * np.prod(weight.shape[:-1]) / 3)
        weight.assign(0.5 + np.abs(values) if "variance" in weight.path else values)
    return model


def stack_of(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Any]:
    """Draw layers from images of 1 to 4 channels to ten outputs, all that can be exported."""
    whole = st.integers(1, 3)
    pair = st.tuples(whole, whole)
    padding = st.sampled_from(["valid", "same"])
    activation = st.sampled_from(["relu", "relu6", "linear"])
    height, width, channels = draw(st.sampled_from([(28, 28, 1), (28, 14, 2), (14, 14, 4)]))

    def pooling() -> Any:
        size, strides = draw(pair), draw(pair)
        if draw(st.booleans()):
            return layers.AveragePooling2D(size, strides=strides)
        return layers.MaxPooling2D(size, strides=strides, padding=draw(padding))

    def cropped() -> Any:
        """Return a cropping with the convolution that has to follow it."""
        cuts = ((draw(st.integers(0, 4)), draw(whole)), (draw(whole), draw(st.integers(0, 4))))
        convolution = layers.Conv2D(2 * draw(whole), draw(pair), strides=draw(pair))
        return keras.Sequential([layers.Cropping2D(cuts), convolution])

    blocks: dict[str, Callable[[], Any]] = {
        "cropped": cropped,
        "convolution": lambda: layers.Conv2D(
            2 * draw(whole),  # Torch 2.13 computes some strided convolutions of one filter wrongly
            draw(pair),
            strides=draw(pair),
            padding=draw(padding),
            use_bias=draw(st.booleans()),
            activation=draw(activation),
        ),
        "dense": lambda: layers.Dense(draw(st.integers(1, 5)), activation=draw(activation)),
        "pooling": pooling,
        "halving": lambda: layers.MaxPooling2D(draw(st.sampled_from([2, (1, 2), 3]))),
        "normalization": lambda: layers.BatchNormalization(
            scale=draw(st.booleans()), center=draw(st.booleans())
        ),
        "relu": lambda: layers.ReLU(draw(st.sampled_from([None, 2.5]))),
        "dropout": lambda: layers.Dropout(0.5),
        "rescaling": lambda: layers.Rescaling(0.5, draw(st.sampled_from([0, -0.5]))),
    }
    offset = draw(st.sampled_from([0, -0.5, -1]))
    stack: list[Any] = [
        layers.Rescaling(1 / 255, offset),
        layers.Reshape((height, width, channels)),
    ]
    for name in draw(st.lists(st.sampled_from(sorted(blocks)), max_size=5)):
        stack.append(blocks[name]())
    end = draw(st.sampled_from(["flatten", "average", "maximum"]))
    if end == "average":
        stack.append(layers.GlobalAveragePooling2D())
    elif end == "maximum":
        stack.append(layers.GlobalMaxPooling2D(keepdims=True))
    stack.append(layers.Flatten())
    if draw(st.booleans()):
        stack.append(layers.Dense(draw(st.integers(1, 7)), activation=draw(activation)))
    return [*stack, layers.Dense(10, activation=draw(st.sampled_from(["softmax", "linear"])))]
