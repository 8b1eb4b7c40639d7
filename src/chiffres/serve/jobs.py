"""What a worker does: the bytes of a request in, the bytes of a JSON document out."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from chiffres.data.dataset import SIDE
from chiffres.data.image import open_image
from chiffres.errors import ImageError
from chiffres.reading import Reader
from chiffres.reading.lattice import Found
from chiffres.reading.page import Page
from chiffres.reading.picture import Picture, load
from chiffres.serve.anatomy import Anatomy
from chiffres.serve.answers import Images
from chiffres.serve.limits import Limits
from chiffres.serve.problems import TooLarge, Unreadable

PIXELS = SIDE * SIDE


@dataclass(frozen=True)
class Job:
    """Something to do.

    Attributes:
        task: ``read``, ``classify``, ``explain`` or ``layers``: a method of :class:`Desk`.
        model: the name of a model.
        body: of the request.
        options: numbers that go with it.
    """

    task: str
    model: str
    body: bytes
    options: Mapping[str, int | None] = field(default_factory=dict)


class Desk:
    """The models of one worker, and what can be asked of them."""

    def __init__(self, models: Mapping[str, bytes], limits: Limits) -> None:
        """Load the models.

        Args:
            models: the ONNX files by name.
            limits: of what is accepted.

        Raises:
            ModelFileError: one of them is damaged, or no classifier of digits.
        """
        warnings.filterwarnings("ignore", module="PIL")  # of what is odd in a file but can be read
        cv2.setNumThreads(1)  # there are as many workers as there are cores
        self._limits = limits
        self._readers = {name: Reader(model, threads=1) for name, model in models.items()}
        self._anatomies = {name: Anatomy(model) for name, model in models.items()}

    def models(self) -> list[dict[str, Any]]:
        """Return what there is to say about each model."""
        return [
            {"name": name, "reject_below": reader.reject_below, **self._anatomies[name].shapes()}
            for name, reader in self._readers.items()
        ]

    def do(self, job: Job) -> bytes:
        """Do a job; a :class:`chiffres.serve.problems.Problem` is raised where it cannot be."""
        task: Callable[..., dict[str, Any]] = getattr(self, job.task)
        answer = task(job.model, job.body, **job.options)
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()

    def read(self, model: str, body: bytes) -> dict[str, Any]:
        """Return the reading of a picture."""
        reader, picture = self._readers[model], self._picture(body)
        return reader.reading(picture, reader.page(picture)).json()

    def classify(self, model: str, body: bytes, document: int = False) -> dict[str, Any]:
        """Return the probabilities of images: a JSON ``document``, or n times 784 bytes."""
        images = _from_json(body) if document else self._from_bytes(body)
        probabilities = self._readers[model].classify(images)
        return {"schema": 1, "model": model, "probabilities": np.round(probabilities, 6).tolist()}

    def explain(
        self,
        model: str,
        body: bytes,
        digit: int = 0,
        inspected: int | None = None,
        drawn: int = False,
    ) -> dict[str, Any]:
        """Return the reading of a picture, with what the network was given and what it saw."""
        reader, picture = self._readers[model], self._picture(body)
        page = reader.page(picture, bool(drawn))
        found, seen = _shown(page), None
        if found:
            image = found[min(digit, len(found) - 1)].image
            seen = self._anatomies[model].look(image, inspected)
        return {
            "schema": 1,
            "model": model,
            "picture": reader.reading(picture, page).json(),
            "size": [picture.width, picture.height],
            "digits": [_seen_digit(each, picture) for each in found],
            "seen": seen,
        }

    def layers(self, model: str, body: bytes, inspected: int | None = None) -> dict[str, Any]:
        """Return what the network sees in one image of 784 bytes."""
        if len(body) != PIXELS:
            raise Unreadable(f"{len(body):,} bytes; expected {PIXELS}, the 28×28 of one digit")
        return self._anatomies[model].look(_as_images(body)[0], inspected)

    def _picture(self, body: bytes) -> Picture:
        try:
            with open_image(body) as image:
                width, height = image.size
                if width * height <= self._limits.pixels:
                    return load(image)
        except ImageError as error:
            raise Unreadable(str(error)) from error
        raise TooLarge(
            f"{width}×{height} pixels; at most {self._limits.pixels:,} are read: reduce the "
            "picture first"
        )

    def _from_bytes(self, body: bytes) -> npt.NDArray[np.uint8]:
        """Return the images in a body, ``(n, 28, 28)``, row after row."""
        count, rest = divmod(len(body), PIXELS)
        if rest or not count:
            raise Unreadable(
                f"{len(body):,} bytes; expected {PIXELS} for each 28×28 image, or JSON that is "
                "announced as application/json"
            )
        if count > self._limits.batch:
            raise TooLarge(f"{count:,} images; at most {self._limits.batch} go in one call")
        return _as_images(body)


def _from_json(body: bytes) -> npt.NDArray[np.uint8]:
    """Return the images in a JSON document, ``(n, 28, 28)``."""
    try:
        return np.array(Images.model_validate_json(body).images, np.uint8)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Unreadable(f"{where or 'the body'}: {first['msg']}") from error


def _as_images(body: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(body, np.uint8).reshape(-1, SIDE, SIDE)


def _shown(page: Page) -> list[Found]:
    """Return the digits of a reading; where nothing was read, the largest that was rejected."""
    lines = [line for line in page.lines if any(found.read for found in line)]
    if lines:
        return [found for line in lines for found in line]
    return sorted(page.found, key=lambda found: found.piece.width * found.piece.height)[-1:]


def _seen_digit(found: Found, picture: Picture) -> dict[str, Any]:
    across, down = picture.scale
    left, right = (round(edge * across) for edge in (found.piece.left, found.piece.right))
    top, bottom = (round(edge * down) for edge in (found.piece.top, found.piece.bottom))
    return {
        "value": found.digit if found.read else None,
        "confidence": round(found.confidence, 6),
        "box": [left, top, max(1, right - left), max(1, bottom - top)],
        "image": base64.b64encode(found.image.tobytes()).decode(),
        "probabilities": [round(float(p), 6) for p in found.probabilities],
    }
