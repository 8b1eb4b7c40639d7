"""Model files: the genuine ones are loaded, the hostile ones refused, each kind by its name."""

from __future__ import annotations

import io
import json
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiffres.errors import ChiffresError, ModelFileError, UsageError
from chiffres.models import build_model, named, probe
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.models.named import find_model
from tests.archives import announce

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
FIXTURES = Path(__file__).parents[1] / "fixtures"
IMAGES = np.linspace(0, 255, 3 * 784, dtype=np.float32).reshape(3, 784)


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(10, activation="softmax", name="answer")]
    model = keras.Sequential([keras.Input((784,)), keras.layers.Rescaling(1 / 255), *layers])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(IMAGES, np.arange(3), verbose=0)
    return model


@pytest.fixture(scope="module")
def genuine(model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the same model's two files, by suffix."""
    folder = tmp_path_factory.mktemp("genuine")
    paths = {suffix: folder / f"model{suffix}" for suffix in (".keras", ".h5")}
    for path in paths.values():
        model.save(path)
    return paths


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def with_config(genuine: dict[str, Path], path: Path, change: Callable[[Any], Any]) -> Path:
    """Write the genuine model with its description changed, in the format of ``path``."""
    source = genuine[path.suffix]
    if path.suffix == ".keras":
        contents = members(source)
        config = change(json.loads(contents[CONFIG]))
        return zipped(path, contents | {CONFIG: json.dumps(config).encode()})
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))
    return path


def with_weights(
    genuine: dict[str, Path], path: Path, change: Callable[[h5py.Group], None]
) -> Path:
    """Write the genuine model with its weights changed, in the format of ``path``."""
    source = genuine[path.suffix]
    if path.suffix == ".h5":
        path.write_bytes(source.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file["model_weights"])
        return path
    contents = members(source)
    weights = io.BytesIO(contents[WEIGHTS])
    with h5py.File(weights, "r+") as file:
        change(file["layers"])
    return zipped(path, contents | {WEIGHTS: weights.getvalue()})


def layer(config: Any, kind: str = "Dense") -> Any:
    """Return the description of the first layer of this class."""
    return next(each for each in config["config"]["layers"] if each["class_name"] == kind)


def refused(path: Path, why: str) -> None:
    """Check that the file is refused, with a message that names it and says why."""
    with pytest.raises(ModelFileError, match=why) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")


both = pytest.mark.parametrize("suffix", [".keras", ".h5"])


# What is genuine


@both
def test_a_genuine_file_answers_as_the_model_did(
    genuine: dict[str, Path], model: Any, suffix: str
) -> None:
    loaded = load_model(genuine[suffix])
    assert not loaded.compiled
    expected = keras.ops.convert_to_numpy(model(IMAGES))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded(IMAGES)), expected)


@both
def test_the_optimizer_is_restored_where_asked_for(genuine: dict[str, Path], suffix: str) -> None:
    loaded = load_model(genuine[suffix], compile=True)
    assert loaded.compiled
    assert type(loaded.optimizer).__name__ == "Adam"
    assert int(loaded.optimizer.iterations) == 1


def test_a_run_folder_stands_for_its_model(genuine: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(genuine[".keras"].read_bytes())
    assert find_model(tmp_path) == tmp_path / "model.keras"
    assert load_model(str(tmp_path)).count_params() == 7_850


@both
def test_the_kinds_of_layers_that_digits_are_read_with(tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    image = keras.Input((28, 28, 1))
    x = layers.Conv2D(4, 3, kernel_regularizer="l2", kernel_initializer="he_normal")(image)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    y = layers.SeparableConv2D(4, 3, padding="same")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), layers.DepthwiseConv2D(3, padding="same")(x)])
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(layers.ZeroPadding2D()(x)))
    x = layers.Dense(10, kernel_constraint="max_norm")(layers.LayerNormalization()(x))
    model = keras.Model(image, layers.Softmax()(x))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    given = IMAGES.reshape(3, 28, 28, 1)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(load_model(path)(given)),
        keras.ops.convert_to_numpy(model(given)),
    )


def test_a_model_within_a_model(tmp_path: Path) -> None:
    inner = keras.Sequential([keras.Input((784,)), keras.layers.Dense(3)])
    model = keras.Sequential([keras.Input((784,)), inner, keras.layers.Dense(10)])
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").count_params() == 785 * 3 + 40


def test_a_sequential_that_was_built_by_its_first_digits(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(10)])
    model(IMAGES)
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").count_params() == 7_850


# What is no model


@pytest.mark.parametrize("name", ["none.keras", "none.h5", "none"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no such run folder or model file"):
        load_model(tmp_path / name)


def test_a_recipe_is_to_be_trained_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"so train it \(chiffres train micro\)"):
        find_model("micro")
    with pytest.raises(UsageError, match=r"no such run folder or model file(?!.*recipe)"):
        find_model("../recipes/micro")


def test_a_shipped_model_is_found_by_its_name_unless_a_folder_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"best: no such run folder or model file$"):
        find_model("best")
    (tmp_path / "shipped").mkdir()
    shipped = tmp_path / "shipped" / "best.keras"
    build_model("dense").save(shipped)
    assert find_model("best") == shipped
    assert load_model("best").count_params() == 328_810
    with pytest.raises(UsageError, match=r"no model that comes with Chiffres \(best\)"):
        find_model("worst")
    (tmp_path / "best").mkdir()
    with pytest.raises(UsageError, match="a folder without"):
        find_model("best")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a folder without model\.keras, so not a run to load"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["model.pt", "model.onnx", "model", "model.keras.zip"])
def test_a_file_of_another_kind(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"expected a run folder or a file \.keras or \.h5"):
        load_model(tmp_path / name)


@both
@pytest.mark.parametrize("content", [b"", b"accuracy,loss\n0.98,0.07\n"], ids=["empty", "text"])
def test_a_text_file(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    refused(path, "damaged or not a model file")


@both
def test_a_truncated_file(genuine: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(genuine[suffix].read_bytes()[:-100])
    refused(path, "damaged or not a model file")


def test_one_format_under_the_other_s_name(genuine: dict[str, Path], tmp_path: Path) -> None:
    for source, suffix in ((".h5", ".keras"), (".keras", ".h5")):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(genuine[source].read_bytes())
        refused(path, "damaged or not a model file")


def test_weights_alone(model: Any, tmp_path: Path) -> None:
    model.save_weights(tmp_path / "model.weights.h5")
    refused(tmp_path / "model.weights.h5", "holds weights only; expected a whole model")


# What brings code


@both
def test_a_lambda_layer(tmp_path: Path, suffix: str) -> None:
    twice = keras.layers.Lambda(lambda x: x * 2, output_shape=(784,))
    model = keras.Sequential([keras.Input((784,)), twice, keras.layers.Dense(10)])
    model.save(tmp_path / f"model{suffix}")
    refused(
        tmp_path / f"model{suffix}", "Lambda, which is not among the layers that Chiffres loads"
    )


@both
@pytest.mark.parametrize("name", ["Backdoor", "Dense"])
def test_a_registered_layer(tmp_path: Path, suffix: str, name: str) -> None:
    """A custom layer, known to this very process, under a name of its own or a borrowed one."""
    custom = type(name, (keras.layers.Dense,), {})
    registered = keras.saving.register_keras_serializable("evil")(custom)
    model = keras.Sequential([keras.Input((784,)), registered(10)])
    model.save(tmp_path / f"model{suffix}")
    refused(tmp_path / f"model{suffix}", rf"names \S*[.>]{name}, which is not among the layers")


@both
def test_a_known_layer_registered_by_somebody_else(
    genuine: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    def change(config: Any) -> Any:
        layer(config)["registered_name"] = "evil>Dense"
        return config

    path = with_config(genuine, tmp_path / f"model{suffix}", change)
    refused(path, "names the custom object 'evil>Dense'; refused")


@pytest.mark.parametrize("module", ["os", "builtins.keras", "numpy", "kerasx.layers", "__main__"])
def test_a_layer_of_another_module(genuine: dict[str, Path], tmp_path: Path, module: str) -> None:
    def change(config: Any) -> Any:
        layer(config)["module"] = module
        return config

    path = with_config(genuine, tmp_path / "model.keras", change)
    refused(path, "Dense" if module.startswith("builtins") else rf"names {module}\.Dense, which")


@both
@pytest.mark.parametrize(
    "value",
    [
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"class_name": "__lambda__", "config": {"value": "4wEAAAAAAAAA"}},
        {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://x"}},
        {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": []},
    ],
    ids=["function", "lambda", "download", "type specification"],
)
def test_a_function_for_an_activation(
    genuine: dict[str, Path], tmp_path: Path, suffix: str, value: dict[str, Any]
) -> None:
    def change(config: Any) -> Any:
        layer(config)["config"]["activation"] = value
        return config

    path = with_config(genuine, tmp_path / f"model{suffix}", change)
    refused(path, f"{value['class_name']}, which is not among")


@both
def test_a_function_for_a_loss(genuine: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    """What the optimizer is compiled with is not looked at unless it is asked for."""
    evil = {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://x"}}
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        with_config(genuine, path, lambda config: config | {"compile_config": {"loss": evil}})
    else:
        path.write_bytes(genuine[suffix].read_bytes())
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["training_config"])
            file.attrs["training_config"] = json.dumps(config | {"loss": evil})
    assert load_model(path).count_params() == 7_850
    with pytest.raises(ModelFileError, match="get_file, which is not among the layers"):
        load_model(path, compile=True)


# What lies about its size


def test_a_file_over_the_limit(genuine: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(genuine[".h5"].read_bytes())
    with path.open("rb+") as file:
        file.truncate(probe.MAX_BYTES + 1)  # sparse: takes no room
    refused(path, r"the file takes 1,073,741,825 bytes, over the limit of 1,073,741,824")


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, METADATA])
def test_an_archive_that_announces_too_much(
    genuine: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path = zipped(tmp_path / "model.keras", members(genuine[".keras"]))
    announce(path, name, 2**30)
    refused(path, r"the archive, unpacked, takes 1,07\d,\d{3},\d{3} bytes, over the limit")


@both
def test_weights_that_announce_too_much(
    genuine: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    """A gigabyte that HDF5 announces and, as nothing was ever written there, does not hold."""

    def change(group: h5py.Group) -> None:
        for number in range(3):
            group.create_dataset(f"more{number}", (100_000_000,), "f4", chunks=(1000,))

    path = with_weights(genuine, tmp_path / f"model{suffix}", change)
    assert path.stat().st_size < 2**20
    refused(path, r"the weights takes? 1,200,\d{3},\d{3} bytes, over the limit")


@both
def test_a_description_over_the_limit(
    genuine: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    long = {"name": "x" * 5_000_000}
    if suffix == ".keras":
        with_config(genuine, path, lambda config: config | long)
        refused(path, r"config\.json takes 5,00\d,\d{3} bytes, over the limit of 4,194,304")
    else:
        with h5py.File(path, "w", libver="latest") as file:
            file.attrs["model_config"] = json.dumps(long)
        refused(path, r"the model's description takes 5,000,\d{3} bytes, over the limit of 4,194,")


@both
@pytest.mark.parametrize("units", [10**6, 10**12])
def test_a_layer_of_more_parameters_than_memory(
    genuine: dict[str, Path], tmp_path: Path, suffix: str, units: int
) -> None:
    def change(config: Any) -> Any:
        layer(config)["config"]["units"] = units
        return config

    path = with_config(genuine, tmp_path / f"model{suffix}", change)
    begun = time.perf_counter()
    refused(path, f"the model described takes {4 * 785 * units:,} bytes, over the limit")
    assert time.perf_counter() - begun < 2


# What points elsewhere


def external_link(group: h5py.Group) -> None:
    group["more"] = h5py.ExternalLink("secret.h5", "/")


def soft_link(group: h5py.Group) -> None:
    group["more"] = h5py.SoftLink("/")


def external_storage(group: h5py.Group) -> None:
    group.create_dataset("more", (10,), "u1", external=[("secret.txt", 0, 10)])


def virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "weights", (10,))
    group.create_virtual_dataset("more", layout)


@both
@pytest.mark.parametrize("change", [external_link, soft_link, external_storage, virtual])
def test_weights_that_lie_elsewhere(
    genuine: dict[str, Path], tmp_path: Path, suffix: str, change: Callable[[h5py.Group], None]
) -> None:
    path = with_weights(genuine, tmp_path / f"model{suffix}", change)
    refused(path, r"the weights /.*/more (point elsewhere|lie outside the file); refused")


@both
def test_weights_that_are_a_maze(genuine: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    """Forty groups, each twice in the next: 2**40 ways through them."""

    def change(group: h5py.Group) -> None:
        inner = group.create_group("end")
        for number in range(40):
            outer = group.create_group(f"maze{number}")
            outer["left"] = outer["right"] = inner
            inner = outer

    path = with_weights(genuine, tmp_path / f"model{suffix}", change)
    begun = time.perf_counter()
    refused(path, r"the weights /.* in two places; refused")
    assert time.perf_counter() - begun < 2


@both
def test_weights_that_are_a_circle(genuine: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    def change(group: h5py.Group) -> None:
        group.create_group("round")["round"] = group

    refused(with_weights(genuine, tmp_path / f"model{suffix}", change), "in two places; refused")


# What is not well formed


@pytest.mark.parametrize("name", ["evil.py", "assets/vocabulary.txt", "../outside"])
def test_a_member_too_many(genuine: dict[str, Path], tmp_path: Path, name: str) -> None:
    contents = members(genuine[".keras"]) | {name: b"import os"}
    refused(
        zipped(tmp_path / "model.keras", contents), r"expected the members .* found \[.*" + name
    )


@pytest.mark.parametrize("name", [CONFIG, METADATA, WEIGHTS])
def test_a_member_too_few(genuine: dict[str, Path], tmp_path: Path, name: str) -> None:
    contents = members(genuine[".keras"])
    del contents[name]
    refused(zipped(tmp_path / "model.keras", contents), "expected the members .* found")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b"null", b"[" * 100_000, b"NaN"])
def test_a_description_that_is_none(genuine: dict[str, Path], tmp_path: Path, text: bytes) -> None:
    contents = members(genuine[".keras"]) | {CONFIG: text}
    refused(zipped(tmp_path / "model.keras", contents), "Keras cannot load it: .")


def test_a_description_that_is_no_text(genuine: dict[str, Path], tmp_path: Path) -> None:
    contents = members(genuine[".keras"]) | {CONFIG: b"\xff\xfe"}
    refused(zipped(tmp_path / "model.keras", contents), "damaged or not a model file: .*utf-8")


@both
@pytest.mark.parametrize("key", ["class_name", "config"])
def test_a_description_that_lacks_a_key(
    genuine: dict[str, Path], tmp_path: Path, suffix: str, key: str
) -> None:
    def change(config: Any) -> Any:
        return {name: value for name, value in config.items() if name != key}

    refused(with_config(genuine, tmp_path / f"model{suffix}", change), key)


@both
def test_a_layer_without_a_class(genuine: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    def change(config: Any) -> Any:
        del layer(config)["class_name"]
        return config

    refused(with_config(genuine, tmp_path / f"model{suffix}", change), "Keras cannot load it")


@both
def test_weights_of_another_model(genuine: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    def change(config: Any) -> Any:
        layer(config)["config"]["units"] = 11
        return config

    refused(with_config(genuine, tmp_path / f"model{suffix}", change), "Keras cannot load it")


# What nobody thought of


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return files that are mostly structure: a model of ten parameters."""
    folder = tmp_path_factory.mktemp("tiny")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    paths = {suffix: folder / f"model{suffix}" for suffix in (".keras", ".h5")}
    for path in paths.values():
        model.save(path)
    return paths


def loads_or_is_refused(path: Path) -> None:
    try:
        loaded = load_model(path)
    except ChiffresError:
        return
    assert isinstance(loaded, keras.Model)


flips = st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=4)


def flipped(content: bytes, changes: list[tuple[int, int]]) -> bytes:
    damaged = bytearray(content)
    for at, value in changes:
        damaged[at % len(damaged)] ^= value
    return bytes(damaged)


@settings(max_examples=25)
@given(changes=flips, cut=st.none() | st.integers(0))
def test_a_damaged_archive(
    tiny: dict[str, Path], changes: list[tuple[int, int]], cut: int | None
) -> None:
    content = flipped(tiny[".keras"].read_bytes(), changes)
    path = tiny[".keras"].with_stem("damaged")
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    loads_or_is_refused(path)


@settings(max_examples=25)
@given(changes=flips)
def test_damaged_weights_in_a_sound_archive(
    tiny: dict[str, Path], changes: list[tuple[int, int]]
) -> None:
    contents = members(tiny[".keras"])
    contents[WEIGHTS] = flipped(contents[WEIGHTS], changes)
    loads_or_is_refused(zipped(tiny[".keras"].with_stem("weights"), contents))


def test_a_size_beyond_the_machine_s_numbers(tiny: dict[str, Path]) -> None:
    """HDF5 announces 2**64 - 1 rows."""
    contents = members(tiny[".keras"])
    shape = struct.pack("<2Q", 4, 2)
    assert contents[WEIGHTS].count(shape) >= 1
    contents[WEIGHTS] = contents[WEIGHTS].replace(shape, struct.pack("<2Q", 2**64 - 1, 2))
    refused(zipped(tiny[".keras"].with_stem("rows"), contents), "damaged or not a model file: .")


@settings(max_examples=25)
@given(changes=flips, cut=st.none() | st.integers(0))
def test_a_damaged_h5_file(
    tiny: dict[str, Path], changes: list[tuple[int, int]], cut: int | None
) -> None:
    content = flipped(tiny[".h5"].read_bytes(), changes)
    path = tiny[".h5"].with_stem("damaged")
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    loads_or_is_refused(path)


def test_a_file_that_crashes_hdf5() -> None:
    """A few bytes changed: HDF5 2.0 and before read outside their memory."""
    refused(FIXTURES / "damaged-crash.h5", "damaged: its reading ended with code -?[0-9]+: ")


def test_a_file_that_hangs_hdf5(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes changed: HDF5 2.0 and before follow a chain of blocks that never ends."""
    monkeypatch.setattr(probe, "MAX_SECONDS", 3.0)
    refused(FIXTURES / "damaged-hang.h5", "damaged: it could not be read within 3 seconds")


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a JSON value, as the container and the key or index in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((value, key))
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.sampled_from([0.5, -1.0, 1e300])
    | st.sampled_from(["", "relu", "Dense", "keras.layers", "float16", "same", "\N{SNOWMAN}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("class_name"), inner),
    max_leaves=4,
)


@both
@settings(max_examples=25)
@given(at=st.integers(0), value=json_values)
def test_damaged_descriptions(tiny: dict[str, Path], suffix: str, at: int, value: Any) -> None:
    def change(config: Any) -> Any:
        everywhere = places(config)
        container, key = everywhere[at % len(everywhere)]
        container[key] = value
        return config

    path = with_config(tiny, tiny[suffix].with_stem("description"), change)
    loads_or_is_refused(path)
