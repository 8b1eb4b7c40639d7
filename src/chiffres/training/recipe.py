"""All that determines a training, validated: a TOML file, overridable one key at a time."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chiffres.errors import RecipeError, UnknownNameError, did_you_mean
from chiffres.models import Scale

MAX_RECIPE_BYTES = 2**20
USED_BY = {
    "beta_2": ("adam", "adamw"),
    "momentum": ("sgd",),
    "weight_decay": ("adamw", "sgd"),
}
"""Which optimizers a key is for, where it is not for all."""
FOR_DIGITS_ALONE = (
    "label_smoothing",
    "augment",
    "rewritten",
    "touching",
    "teacher",
    "bits",
    "share",
)
"""Keys that say nothing about strings."""
UNSET: tuple[Any, ...] = (None, "", [])
"""What a key says where nothing is asked of it."""


class Recipe(BaseModel):
    """All that determines a training; the same recipe, seed and machine give the same history.

    Attributes:
        model: the name of a model that can be built.
        data: the name of a dataset.
        scale: ``"raw"``: the model is fed grey levels from 0 to 255; ``"unit"``: 0 to 1.
        optimizer: Keras's, by its name in lower case.
        learning_rate: of the optimizer, above 0; the highest one of a schedule.
        beta_2: of ``adam`` and ``adamw``, 0 to below 1: how much of the mean of the squared
            gradients a step keeps; None: Keras's 0.999, which a training of few steps is too short
            for.
        schedule: ``"constant"``; or ``"one-cycle"``: from a 25th up in a straight line, then down
            to 0 along half a cosine.
        warmup: the share of the steps, 0 to below 1, that a one-cycle schedule goes up; 0: it
            begins with the highest rate.
        momentum: of ``sgd``, 0 to below 1.
        weight_decay: of ``adamw`` and ``sgd``: the share of each weight, times the learning rate,
            that a step takes away.
        dropout: the rate of the model's dropouts, 0 to below 1, where it has any to set; None: its
            own.
        pooling: what the model's pooling is, where that can be set; None: its own.
        loss: what is minimised.
        label_smoothing: the share of each target, 0 to below 1, that is spread over all digits.
        augment: the name of what is done to the digits in training.
        forms: how many digits in forms that MNIST lacks are trained on besides, as a share of the
            digits, 0 to 1: a 1 with an upstroke, a barred 7, a 9 with a hook, a slashed
            0.
        negatives: likewise, how many images of no digit.
        touching: likewise, how many images of digits that touch, which are no digit either.
        rewritten: likewise, how many of all these images are written anew with other pens, to come
            to MNIST's format as what is found in a picture does.
        strings: whether the model reads strings of digits, written anew for each epoch, along
            strips. ``forms`` and ``negatives`` are among what they are written with.
        teacher: a run folder, a model file or the name of a shipped model, whose answers are learnt
            besides what is right; or several, the mean of whose answers is; or nothing.
        teaching: the share of the loss, 0 to 1, that is to answer as the teacher does.
        bits: of the weights, 2 to 8 for each layer that has any, which are trained with their
            rounding in the loop; empty: 32.
        precision: of the products in training: ``"bfloat16"`` is faster where the processor has
            it, and ``"float32"`` elsewhere.
        batch_size: digits per step, at least 1.
        epochs: passes over the training part, at least 1.
        share: of the training part, above 0 to 1, that a pass takes, drawn anew each time.
        distinct_epochs: after how many epochs the first one comes again, with the same order and
            the same changes of the digits, to which a teacher has answered; 0: never.
        start: the model whose weights the training begins with: a run folder, a model file or the
            name of a shipped model; it has the layers of ``model``. Empty: with new ones.
        seed: of the initial weights, the order of the digits and the dropout.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    model: str
    data: str = "auto"
    scale: Scale = "raw"
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-4, gt=0)
    beta_2: float | None = Field(default=None, ge=0, lt=1)
    schedule: Literal["constant", "one-cycle"] = "constant"
    warmup: float = Field(default=0.2, ge=0, lt=1)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    dropout: float | None = Field(default=None, ge=0, lt=1)
    pooling: Literal["max", "average", "none"] | None = None
    loss: Literal["sparse_categorical_crossentropy"] = "sparse_categorical_crossentropy"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: str = "none"
    forms: float = Field(default=0.0, ge=0, le=1)
    rewritten: float = Field(default=0.0, ge=0, le=1)
    negatives: float = Field(default=0.0, ge=0, le=1)
    touching: float = Field(default=0.0, ge=0, le=1)
    strings: bool = False
    teacher: str | list[str] = ""
    teaching: float = Field(default=0.7, ge=0, le=1)
    bits: list[Annotated[int, Field(ge=2, le=8)]] = Field(default=[])
    precision: Literal["float32", "bfloat16"] = "float32"
    batch_size: int = Field(default=128, ge=1)
    epochs: int = Field(default=20, ge=1)
    share: float = Field(default=1.0, gt=0, le=1)
    distinct_epochs: int = Field(default=0, ge=0)
    start: str = ""
    seed: int = Field(default=9000, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _refuse_what_the_optimizer_does_not_use(self) -> Self:
        fields = type(self).model_fields
        for key, optimizers in USED_BY.items():
            value = getattr(self, key)
            if value != fields[key].default and self.optimizer not in optimizers:
                raise ValueError(
                    f"{key} = {value!r}: {self.optimizer} does not use it; "
                    f"leave it out, or set optimizer to {' or '.join(optimizers)}"
                )
        return self

    @model_validator(mode="after")
    def _refuse_what_strings_do_not_use(self) -> Self:
        for key in FOR_DIGITS_ALONE if self.strings else ():
            value = getattr(self, key)
            if value != type(self).model_fields[key].default:
                raise ValueError(f"{key} = {value!r}: a training on strings does not use it")
        return self

    @property
    def has_negatives(self) -> bool:
        """Whether images of no digit are among the digits, of either kind."""
        return bool(self.negatives or self.touching) and not self.strings

    @property
    def teachers(self) -> list[str]:
        """The models that teach, none or more."""
        if isinstance(self.teacher, str):
            return [self.teacher] if self.teacher else []
        return self.teacher

    @property
    def options(self) -> dict[str, Any]:
        """What the model is built with, where that is not its own default."""
        options = {"dropout": self.dropout, "pooling": self.pooling}
        return {key: value for key, value in options.items() if value is not None}

    def toml(self) -> str:
        """Return the recipe as the text of a TOML file."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def differences(self, other: Recipe) -> str:
        """Say which keys differ from ``other``'s, with both values; empty where none does."""
        mine, theirs = self.model_dump(), other.model_dump()
        return ", ".join(
            f"{key}: {theirs[key]} → {mine[key]}" for key in mine if mine[key] != theirs[key]
        )


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with Chiffres."""
    files = resources.files("chiffres.recipes").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".toml"))


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """Load a recipe by its name or from the path of a TOML file.

    Args:
        name: one of ``recipe_names()``, or a path that ends in ``.toml``.
        settings: ``"key=value"`` texts that replace single keys.

    Raises:
        UnknownNameError: no recipe has this name.
        RecipeError: the file is not TOML, a key is unknown or a value is out of range; the
            message names the nearest valid one.
    """
    values = _parse(_read(name), name) | dict(_setting(text) for text in settings)
    return make_recipe(values, name)


def make_recipe(values: Mapping[str, Any], name: str) -> Recipe:
    """Return the recipe that ``values`` describe; ``name`` is for the messages only."""
    try:
        return Recipe.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(_explain(dict(each)) for each in error.errors())
        raise RecipeError(f"recipe {name}: {problems}") from error


def _read(name: str) -> str:
    if name.endswith(".toml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise RecipeError(f"{name}: no such recipe file")
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise RecipeError(f"{name}: over {MAX_RECIPE_BYTES:,} bytes, so not a recipe")
        return path.read_text(encoding="utf-8", errors="replace")
    if name not in recipe_names():
        raise UnknownNameError("recipe", name, recipe_names())
    return (resources.files("chiffres.recipes") / f"{name}.toml").read_text(encoding="utf-8")


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name}: not TOML: {error}") from error


def _setting(text: str) -> tuple[str, Any]:
    """Return key and value of ``"key=value"``; what is no TOML value is taken as a string."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise RecipeError(f"setting {text!r}: expected key=value, as in learning_rate=0.01")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _explain(problem: dict[str, Any]) -> str:
    """Say in one sentence what pydantic found, with the value and the nearest valid name."""
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        fields = Recipe.model_fields
        return f"unknown key {key!r}{did_you_mean(key, fields)}; known: {', '.join(fields)}"
    if problem["type"] == "missing":
        return f"the key {key!r} is missing"
    hint = ""
    if problem["type"] == "literal_error":
        hint = did_you_mean(str(problem["input"]), _choices(Recipe.model_fields[key].annotation))
    message = problem["msg"].replace("Input should be", "expected")
    return f"{key} = {problem['input']!r}: {message}{hint}"


def _choices(annotation: Any) -> list[str]:
    """Return the texts that a type allows: of a Literal, or of one inside a union."""
    parts = [each for part in get_args(annotation) for each in (get_args(part) or [part])]
    return [part for part in parts if isinstance(part, str)]
