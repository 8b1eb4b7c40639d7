from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.errors import RecipeError, UnknownNameError
from chiffres.models import models
from chiffres.storage import write_text
from chiffres.training.augment import find_augmentation
from chiffres.training.recipe import Recipe, load_recipe, make_recipe, recipe_names

below_one = st.floats(0, 1, exclude_max=True, allow_subnormal=False)
weight_decays = st.floats(0, 1e300, allow_subnormal=False)
optimizers = st.one_of(
    st.fixed_dictionaries({"optimizer": st.just("rmsprop")}),
    st.fixed_dictionaries(
        {"optimizer": st.just("adam")}, optional={"beta_2": st.none() | below_one}
    ),
    st.fixed_dictionaries({"optimizer": st.just("adamw"), "weight_decay": weight_decays}),
    st.fixed_dictionaries(
        {"optimizer": st.just("sgd"), "weight_decay": weight_decays, "momentum": below_one}
    ),
)
recipes = st.builds(
    lambda optimizer, **others: Recipe(**optimizer, **others),
    optimizer=optimizers,
    model=st.text(),
    data=st.text(),
    scale=st.sampled_from(["raw", "unit"]),
    learning_rate=st.floats(min_value=1e-300, max_value=1e300),
    schedule=st.sampled_from(["constant", "one-cycle"]),
    warmup=below_one,
    label_smoothing=below_one,
    augment=st.text(),
    forms=st.floats(0, 1, allow_subnormal=False),
    negatives=st.floats(0, 1, allow_subnormal=False),
    rewritten=st.floats(0, 1, allow_subnormal=False),
    touching=st.floats(0, 1, allow_subnormal=False),
    precision=st.sampled_from(["float32", "bfloat16"]),
    start=st.text(),
    batch_size=st.integers(1, 10**6),
    epochs=st.integers(1, 10**6),
    share=st.floats(1e-300, 1),
    seed=st.integers(0, 2**31 - 1),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes") / "own.toml"


@pytest.mark.parametrize("name", ["conv", "conv-dropout", "conv-pool", "dense"])
def test_the_shipped_recipes_are_the_lab_s(name: str) -> None:
    assert load_recipe(name).model_dump(exclude_none=True) == {
        "model": name,
        "data": "auto",
        "scale": "raw",
        "optimizer": "adam",
        "learning_rate": 0.0001,
        "schedule": "constant",
        "warmup": 0.2,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "loss": "sparse_categorical_crossentropy",
        "label_smoothing": 0.0,
        "augment": "none",
        "forms": 0.0,
        "rewritten": 0.0,
        "negatives": 0.0,
        "touching": 0.0,
        "strings": False,
        "teacher": "",
        "teaching": 0.7,
        "bits": [],
        "precision": "float32",
        "batch_size": 128,
        "epochs": 20,
        "share": 1.0,
        "distinct_epochs": 0,
        "start": "",
        "seed": 9000,
    }


def test_a_recipe_that_says_nothing_else_is_the_lab_s() -> None:
    assert make_recipe({"model": "dense"}, "own") == load_recipe("dense")


@pytest.mark.parametrize("name", ["swift", "swift-minute", "reader", "strings"])
def test_the_recipes_that_are_no_lab_s(name: str) -> None:
    recipe = load_recipe(name)
    assert (recipe.model, recipe.scale, recipe.schedule) == (name, "unit", "one-cycle")
    find_augmentation(recipe.augment)  # raises where there is none


@pytest.mark.parametrize("name", ["micro", "nano"])
def test_the_recipes_for_microcontrollers(name: str) -> None:
    recipe = load_recipe(name)
    assert (recipe.model, recipe.scale, recipe.schedule) == (name, "raw", "one-cycle")
    assert recipe.bits == [4, 4, 4, 4]
    find_augmentation(recipe.augment)


def test_every_shipped_recipe_has_a_model() -> None:
    labs, chips = {"conv", "conv-dropout", "conv-pool", "dense"}, {"micro", "nano"}
    assert labs | chips | {"reader", "strings", "swift", "swift-minute"} <= set(recipe_names())
    assert recipe_names() == sorted(recipe_names())
    assert {load_recipe(name).model for name in recipe_names()} <= models().keys()


@given(recipes)
def test_what_is_written_is_read_again(path: Path, recipe: Recipe) -> None:
    write_text(path, recipe.toml())
    assert load_recipe(str(path)) == recipe
    assert recipe.differences(recipe) == ""


@given(recipes)
def test_every_key_can_be_set(recipe: Recipe) -> None:
    settings = recipe.toml().rstrip("\n").split("\n")
    assert load_recipe("dense", settings) == recipe


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("learning_rate=0.01", "learning_rate", 0.01),
        ("learning_rate=1e-2", "learning_rate", 0.01),
        ("learning_rate=1", "learning_rate", 1.0),
        ("optimizer=sgd", "optimizer", "sgd"),
        ('optimizer="sgd"', "optimizer", "sgd"),
        (" data = mnist-5k ", "data", "mnist-5k"),
        ("data=npz:a=b.npz", "data", "npz:a=b.npz"),
        ("scale=unit", "scale", "unit"),
        ("seed=0", "seed", 0),
        ("seed=2147483647", "seed", 2**31 - 1),
        ("schedule=one-cycle", "schedule", "one-cycle"),
        ("warmup=0", "warmup", 0.0),
        ("warmup=0.999", "warmup", 0.999),
        ("label_smoothing=0.1", "label_smoothing", 0.1),
        ("augment=reader", "augment", "reader"),
        ("share=1", "share", 1.0),
        ("beta_2=0.9", "beta_2", 0.9),
        ("rewritten=1", "rewritten", 1.0),
        ("negatives=0", "negatives", 0.0),
        ("negatives=1", "negatives", 1.0),
        ("teacher=runs/reader", "teacher", "runs/reader"),
        ("teaching=1", "teaching", 1.0),
        ("bits=[8, 4]", "bits", [8, 4]),
    ],
)
def test_a_setting_replaces_a_key(setting: str, key: str, value: object) -> None:
    recipe = load_recipe("conv", [setting])
    assert recipe == load_recipe("conv").model_copy(update={key: value})


def test_the_last_setting_counts() -> None:
    assert load_recipe("conv", ["epochs=3", "epochs=4"]).epochs == 4


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "learning_rat=0.01",
            r"recipe dense: unknown key 'learning_rat' \(did you mean 'learning_rate'\?\); "
            r"known: model, data, scale, optimizer, ",
        ),
        ("epochs=ten", r"recipe dense: epochs = 'ten': expected a valid integer"),
        ("epochs=1.5", r"epochs = 1\.5: expected a valid integer"),
        ("epochs=true", r"epochs = True: expected a valid integer"),
        ("epochs=", r"epochs = '': expected a valid integer"),
        ("epochs=0", r"epochs = 0: expected greater than or equal to 1"),
        ("batch_size=-128", r"batch_size = -128: expected greater than or equal to 1"),
        ("share=0", r"share = 0: expected greater than 0"),
        ("share=1.1", r"share = 1\.1: expected less than or equal to 1"),
        ("beta_2=1", r"beta_2 = 1: expected less than 1"),
        ("learning_rate=-0.1", r"learning_rate = -0\.1: expected greater than 0"),
        ("learning_rate=0", r"learning_rate = 0: expected greater than 0"),
        ("learning_rate=nan", r"learning_rate = nan: expected a finite number"),
        ("learning_rate=inf", r"learning_rate = inf: expected a finite number"),
        ("seed=-1", r"seed = -1: expected greater than or equal to 0"),
        ("seed=2147483648", r"seed = 2147483648: expected less than 2147483648"),
        ("optimizer=adm", r"optimizer = 'adm': expected 'adam', .* \(did you mean 'adam'\?\)"),
        ("scale=units", r"scale = 'units': expected 'raw' or 'unit' \(did you mean 'unit'\?\)"),
        (
            "schedule=one-cicle",
            r"expected 'constant' or 'one-cycle' \(did you mean 'one-cycle'\?\)",
        ),
        ("warmup=1", r"warmup = 1: expected less than 1"),
        ("warmup=-0.1", r"warmup = -0\.1: expected greater than or equal to 0"),
        ("momentum=1", r"momentum = 1: expected less than 1"),
        ("momentum=-0.9", r"momentum = -0\.9: expected greater than or equal to 0"),
        ("weight_decay=-1", r"weight_decay = -1: expected greater than or equal to 0"),
        ("weight_decay=inf", r"weight_decay = inf: expected a finite number"),
        ("label_smoothing=1", r"label_smoothing = 1: expected less than 1"),
        ("label_smoothing=-1", r"label_smoothing = -1: expected greater than or equal to 0"),
        ("negatives=1.5", r"negatives = 1\.5: expected less than or equal to 1"),
        ("touching=1.5", r"touching = 1\.5: expected less than or equal to 1"),
        ("forms=-1", r"forms = -1: expected greater than or equal to 0"),
        ("rewritten=2", r"rewritten = 2: expected less than or equal to 1"),
        ("negatives=-1", r"negatives = -1: expected greater than or equal to 0"),
        ("teaching=1.1", r"teaching = 1\.1: expected less than or equal to 1"),
        ("bits=4", r"bits = 4: expected a valid list"),
        ("bits=[4, 9]", r"bits.1 = 9: expected less than or equal to 8"),
        ("bits=[1]", r"bits.0 = 1: expected greater than or equal to 2"),
        ("augment=3", r"augment = 3: expected a valid string"),
        ("loss=mse", r"loss = 'mse': expected 'sparse_categorical_crossentropy'"),
        ("model=3", r"model = 3: expected a valid string"),
        ("epochs", r"setting 'epochs': expected key=value, as in learning_rate=0\.01"),
        ("=3", r"setting '=3': expected key=value"),
    ],
)
def test_a_wrong_setting_is_explained(setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("dense", [setting])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_key_that_the_optimizer_does_not_use_is_refused(optimizer: str) -> None:
    using = {"momentum": ["sgd"], "weight_decay": ["adamw", "sgd"], "beta_2": ["adam", "adamw"]}
    for key, optimizers in using.items():
        settings = [f"optimizer={optimizer}", f"{key}=0.5"]
        if optimizer in optimizers:
            assert getattr(load_recipe("dense", settings), key) == 0.5
            continue
        with pytest.raises(RecipeError) as caught:
            load_recipe("dense", settings)
        assert str(caught.value) == (
            f"recipe dense: {key} = 0.5: {optimizer} does not use it; "
            f"leave it out, or set optimizer to {' or '.join(optimizers)}"
        )
        assert not getattr(load_recipe("dense", [settings[0]]), key)
        if key != "beta_2":  # 0 is what the others are where nothing is asked of them
            assert getattr(load_recipe("dense", [settings[0], f"{key}=0"]), key) == 0


@pytest.mark.parametrize(
    "setting", ["augment=light", "label_smoothing=0.1", "touching=0.1", "teacher=reader"]
)
def test_a_key_that_strings_do_not_use_is_refused(setting: str) -> None:
    key, _, value = setting.partition("=")
    with pytest.raises(RecipeError, match=f"recipe strings: {key} = .*{value}.*on strings"):
        load_recipe("strings", [setting])


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("dense", ["epochs=ten", "sed=1"])
    assert "epochs = 'ten'" in str(caught.value)
    assert "unknown key 'sed' (did you mean 'seed'?)" in str(caught.value)


def test_a_recipe_needs_a_model() -> None:
    with pytest.raises(RecipeError, match="recipe own: the key 'model' is missing"):
        make_recipe({"epochs": 3}, "own")


def test_a_recipe_is_not_changed_by_accident() -> None:
    recipe = load_recipe("dense")
    with pytest.raises(ValueError, match="frozen"):
        recipe.epochs = 3


def test_an_unknown_recipe_proposes_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown recipe 'conv-drop' \(did you mean 'conv-d"
    ):
        load_recipe("conv-drop")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml: no such recipe file"):
        load_recipe(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "content", [b"model = ", b"{}", b"\x89PNG\r\n", b"model = 'dense'\nmodel = 'conv'"]
)
def test_a_file_that_is_not_toml(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"own\.toml: not TOML: ."):
        load_recipe(str(path))


def test_a_file_too_long_to_be_a_recipe(path: Path) -> None:
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(RecipeError, match=r"own\.toml: over 1,048,576 bytes, so not a recipe"):
        load_recipe(str(path))


def test_a_wrong_file_is_named(path: Path) -> None:
    path.write_text("model = 'dense'\n[training]\nepochs = 3\n")
    with pytest.raises(RecipeError, match=r"own\.toml: unknown key 'training'"):
        load_recipe(str(path))


def test_the_text_is_that_of_a_toml_file() -> None:
    recipe = load_recipe("dense", ["epochs=3"])
    assert tomllib.loads(recipe.toml()) == recipe.model_dump(exclude_none=True)


def test_what_is_not_the_model_s_own_is_an_option_of_it() -> None:
    assert load_recipe("conv-dropout").options == {}
    recipe = load_recipe("conv-dropout", ["dropout=0", "pooling=average"])
    assert recipe.options == {"dropout": 0, "pooling": "average"}
    assert tomllib.loads(recipe.toml())["dropout"] == 0
    with pytest.raises(RecipeError, match=r"dropout = 1: expected less than 1"):
        load_recipe("conv-dropout", ["dropout=1"])
    with pytest.raises(RecipeError, match=r"pooling = 'averag'.*did you mean 'average'"):
        load_recipe("conv-dropout", ["pooling=averag"])


def test_differences_say_both_values() -> None:
    other = load_recipe("dense", ["epochs=3", "optimizer=sgd"])
    assert other.differences(load_recipe("dense")) == "optimizer: adam → sgd, epochs: 20 → 3"
