"""Model files, loaded as untrusted input: ``.keras`` and ``.h5``, of Keras 3 and of Keras 2.

A model file describes layers by name and holds their weights. Before Keras sees it, it is read
once in a process of its own, its sizes are checked, and only the layers listed here are let
through: no Lambda, no custom object, no pickled module, so that no code from the file can run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chiffres.errors import ModelFileError
from chiffres.models.backend import keras
from chiffres.models.named import find_model
from chiffres.models.probe import check_size, probe

_LAYERS = """
    Activation Add Average AveragePooling2D BatchNormalization Concatenate Conv2D Cropping2D Dense
    DepthwiseConv2D Dropout ELU Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D
    GlobalMaxPooling2D InputLayer LayerNormalization LeakyReLU MaxPooling2D Multiply PReLU Permute
    ReLU Rescaling Reshape SeparableConv2D Softmax SpatialDropout2D ZeroPadding2D
"""
_PARTS = """
    Functional Model Sequential
    Policy DTypePolicy
    Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Ones Orthogonal
    RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    L1 L1L2 L2 MaxNorm NonNeg UnitNorm
    Adam AdamW SGD RMSprop Nadam CosineDecay
    SparseCategoricalCrossentropy CategoricalCrossentropy
    __tuple__ __keras_tensor__ TensorShape
"""
ALLOWED = frozenset((_LAYERS + _PARTS).split())
"""Every class that a model file may name."""
_MODULES = ("keras", "tf_keras", "tensorflow.keras", "builtins")


def load_model(model: str | Path, *, compile: bool = False) -> keras.Model:  # noqa: A002
    """Load a Keras model from a run folder, a ``.keras`` or an ``.h5`` file.

    Args:
        model: the folder or file, written by Keras 3 or (``.h5``) Keras 2.
        compile: whether to restore the optimizer with its state as well, to train on.

    Raises:
        UsageError: there is no such folder or file.
        ModelFileError: damaged, over 1 GiB, or naming anything but well-known layers.
    """
    path = find_model(model)
    try:
        config = _checked_config(path, compile)
        _check_parameters(config)
        return keras.saving.load_model(path, compile=compile, safe_mode=True)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except Exception as error:  # what Keras and h5py raise on damage has no common base
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise ModelFileError(f"{path}: Keras cannot load it: {reason}") from error


def _checked_config(path: Path, with_training: bool) -> dict[str, Any]:
    """Return the model's description, once it and the weights' layout have been checked."""
    described = probe(path)
    config = json.loads(described["model"])
    compiled = [config.pop("compile_config", None), json.loads(described["training"])]
    for node in _nodes([config, *compiled] if with_training else config):
        _check_node(node)
    return dict(config)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary inside the description."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _check_node(node: dict[str, Any]) -> None:
    """Refuse a class that is not on the list, whatever it calls itself."""
    if "class_name" not in node:
        return
    name, module = node["class_name"], node.get("module")
    registered = node.get("registered_name")
    root = str(module).split(".")[0] if module is not None else "keras"
    if name not in ALLOWED or root not in {each.split(".")[0] for each in _MODULES}:
        raise ModelFileError(
            f"names {module + '.' if module else ''}{name}, which is not among the layers that "
            "Chiffres loads: a model file is not allowed to bring code of its own"
        )
    if registered not in (None, name):
        raise ModelFileError(f"names the custom object {registered!r}; refused")


def _check_parameters(config: dict[str, Any]) -> None:
    """Refuse a model that would take more memory than the limit, before any is taken."""
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    with _without_values():
        skeleton = kind.from_config(config["config"])
        check_size(4 * skeleton.count_params(), "the model described")


@contextmanager
def _without_values() -> Iterator[None]:
    """Let Keras create variables that have a shape and take no memory, and forget them after."""
    with keras.StatelessScope(initialize_variables=False):
        try:
            yield
        finally:
            # no public way to forget them
            state = keras.src.backend.common.global_state
            state.set_global_attribute("uninitialized_variables", [])
