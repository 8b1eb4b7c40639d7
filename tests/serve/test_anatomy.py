"""What is seen inside a network is what the lab's own convolution and pooling give."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from chiffres.lab.convolution import convolve_2d
from chiffres.lab.pooling import max_pool_2d
from chiffres.reading import Reader
from chiffres.serve.anatomy import Anatomy, graph_nodes, with_outputs
from chiffres.serve.models import served_models
from tests.serve import networks

IMAGE = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return Anatomy(networks.convolutional())


def test_the_nodes_of_a_graph_are_found_in_its_bytes() -> None:
    nodes = graph_nodes(networks.convolutional())
    operators = "Cast Reshape Mul Conv Relu MaxPool Flatten MatMul Softmax"
    assert [node.operator for node in nodes] == operators.split()
    assert nodes[3].inputs == ["scaled", "kernels", "biases"]
    assert nodes[5].attributes["strides"] == [2, 2]


def test_feature_maps_are_sums_of_products_and_pooling_keeps_the_largest(anatomy: Anatomy) -> None:
    kernels, biases = networks.weights()
    seen = anatomy.look(IMAGE, inspected=2)
    sums = convolve_2d(IMAGE / 255, kernels[2, 0]) + biases[2]
    maps = np.maximum(sums, 0)
    inspected = seen["inspected"]
    np.testing.assert_allclose(inspected["activated"], maps, atol=1e-4)
    np.testing.assert_allclose(inspected["input"], IMAGE / 255, atol=1e-4)
    np.testing.assert_allclose(inspected["kernel"], kernels[2, 0], atol=1e-4)
    assert inspected["bias"] == pytest.approx(biases[2], abs=1e-4)
    assert inspected["pooling"]["direct"]
    np.testing.assert_allclose(inspected["pooling"]["after"], max_pool_2d(maps), atol=1e-4)


def test_all_maps_come_as_grey_levels_on_one_scale(anatomy: Anatomy) -> None:
    convolution = anatomy.look(IMAGE)["convolution"]
    assert convolution["shape"] == [networks.MAPS, 26, 26]
    levels = np.frombuffer(base64.b64decode(convolution["maps"]), np.uint8)
    assert (levels.size, levels.min(), levels.max()) == (networks.MAPS * 26 * 26, 0, 255)
    exact = np.array(anatomy.look(IMAGE, inspected=1)["inspected"]["activated"])
    shown = levels.reshape(-1, 26, 26)[1] / 255 * convolution["highest"]
    np.testing.assert_allclose(shown, exact, atol=convolution["highest"] / 500)


def test_looking_changes_nothing_of_the_answer(anatomy: Anatomy) -> None:
    expected = Reader(networks.convolutional()).classify(IMAGE[None])[0]
    np.testing.assert_allclose(anatomy.look(IMAGE)["probabilities"], expected, atol=1e-6)


def test_a_network_without_convolution_has_nothing_to_show() -> None:
    anatomy = Anatomy(networks.dense())
    assert anatomy.shapes() == {"convolution": None, "pooling": None}
    seen = anatomy.look(IMAGE, inspected=0)
    assert seen["convolution"] is seen["pooling"] is seen["inspected"] is None


def test_the_shipped_model_shows_its_maps() -> None:
    (shipped,) = (model for model in served_models() if model.name == "reader")
    seen = Anatomy(shipped.content).look(IMAGE, inspected=0)
    kernel, bias = np.array(seen["inspected"]["kernel"]), seen["inspected"]["bias"]
    sums = convolve_2d(np.array(seen["inspected"]["input"]), kernel) + bias
    np.testing.assert_allclose(seen["inspected"]["activated"], np.maximum(sums, 0), atol=2e-3)
    assert seen["inspected"]["pooling"]["direct"]


def test_an_output_is_asked_for_once() -> None:
    model = networks.dense()
    assert with_outputs(model, ["logits", "logits"]) == with_outputs(model, ["logits"])
