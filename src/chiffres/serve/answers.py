"""The forms of what is asked and answered; the document at ``/openapi.json`` is made from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from chiffres.data.dataset import SIDE
from chiffres.serve.limits import Limits

Level = Annotated[int, Field(ge=0, le=255, strict=True)]
Row = Annotated[list[Level], Field(min_length=SIDE, max_length=SIDE)]
Image = Annotated[list[Row], Field(min_length=SIDE, max_length=SIDE)]
Box = Annotated[list[int], Field(min_length=4, max_length=4)]
Probabilities = Annotated[list[float], Field(min_length=10, max_length=10)]


class Images(BaseModel):
    """Digits in MNIST's format: rows of grey levels, 0 = background, 255 = ink."""

    model_config = ConfigDict(extra="forbid")

    images: Annotated[list[Image], Field(min_length=1, max_length=Limits().batch)]


class Classified(BaseModel):
    """The probabilities of the ten digits, a row for each image."""

    schema_: Literal[1] = Field(1, alias="schema")
    model: str
    probabilities: list[Probabilities]


class ReadDigit(BaseModel):
    """One digit in a picture; ``value`` is null where it was too uncertain to be read."""

    value: Annotated[int, Field(ge=0, le=9)] | None
    confidence: Annotated[float, Field(ge=0, le=1)]
    box: Annotated[Box, Field(description="left, top, width, height, in pixels")]
    alternatives: list[tuple[int, float]]


class Picture(BaseModel):
    """What was read in a picture: an element of ``pictures`` in ``chiffres read --json``."""

    path: str
    text: str
    lines: list[str]
    digits: list[ReadDigit]
    error: str | None


class SeenDigit(BaseModel):
    """A digit as the network was given it: 28×28 grey levels in base64, row by row."""

    value: int | None
    confidence: float
    box: Box
    image: str
    probabilities: Probabilities


class Maps(BaseModel):
    """Feature maps: grey levels in base64, from ``lowest`` (0) to ``highest`` (255)."""

    shape: Annotated[list[int], Field(description="maps, height, width")]
    lowest: float
    highest: float
    maps: str


class Pooling(BaseModel):
    """One feature map before and after the pooling."""

    kind: Literal["max", "mean"]
    direct: Annotated[bool, Field(description="whether the first convolution's maps are pooled")]
    size: list[int]
    strides: list[int]
    before: list[list[float]]
    after: list[list[float]]


class Inspected(BaseModel):
    """All that it takes to follow the sum behind each pixel of one feature map."""

    map: int
    input: list[list[float]] | None
    kernel: list[list[float]] | None
    bias: float
    strides: list[int]
    pads: list[int]
    activated: list[list[float]]
    pooling: Pooling | None


class Seen(BaseModel):
    """What the network sees in one digit."""

    probabilities: Probabilities
    convolution: Maps | None
    pooling: Maps | None
    inspected: Inspected | None


class Explained(BaseModel):
    """A reading with what the network was given and what it saw."""

    schema_: Literal[1] = Field(1, alias="schema")
    model: str
    picture: Picture
    size: Annotated[list[int], Field(description="width, height, of the upright picture")]
    digits: list[SeenDigit]
    seen: Seen | None


class Model(BaseModel):
    """A model that can be asked for by name."""

    name: str
    shipped: Annotated[bool, Field(description="whether it comes with Chiffres")]
    reject_below: float
    convolution: list[int] | None
    pooling: list[int] | None


class Models(BaseModel):
    """All models; the first is asked where none is named."""

    models: list[Model]


class Health(BaseModel):
    """Whether the server can answer."""

    status: Literal["ok", "starting"]
    workers: int
    waiting: int
