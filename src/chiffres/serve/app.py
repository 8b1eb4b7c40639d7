"""The routes: what can be asked for, and which forms the answers have."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

import chiffres
from chiffres.report.words import Words, languages
from chiffres.serve import answers
from chiffres.serve.bodies import FIELD, JSON, MULTIPART, RAW, Receiver, is_photo, media_type
from chiffres.serve.docs import docs_page
from chiffres.serve.guard import Guard, Metrics, problem_response
from chiffres.serve.jobs import Job
from chiffres.serve.limits import Limits
from chiffres.serve.models import ServedModel
from chiffres.serve.pool import Pool
from chiffres.serve.problems import (
    MEDIA_TYPE,
    Busy,
    Crashed,
    Malformed,
    NoKey,
    Problem,
    ProblemDocument,
    TookTooLong,
    TooLarge,
    TooSlow,
    Unknown,
    Unreadable,
    WrongType,
)

PAGE = Path(str(resources.files("chiffres.serve"))) / "page"
MOST_DIGITS = 600
"""No picture has more digits to look at than these."""
WORDS = "serve_"
"""How the keys of the page's sentences begin."""
mimetypes.add_type("text/javascript", ".js")  # some systems have it otherwise

ModelName = Annotated[
    str | None, Query(alias="model", description="One of `GET /v1/models`; by default the first.")
]
DigitNumber = Annotated[
    int, Query(ge=0, le=MOST_DIGITS, description="Which digit of the picture to look into.")
]
Drawn = Annotated[
    bool,
    Query(description="Whether it is known to be dark strokes on a clean sheet: read faster."),
]
MapNumber = Annotated[
    int | None, Query(alias="map", ge=0, lt=64, description="Which feature map to return in full.")
]


def _problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the problems that a route may answer, and of those all may."""
    schema = {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}
    every: list[type[Problem]] = [*kinds, NoKey, Crashed]
    return {
        kind.status: {"description": (kind.__doc__ or "").splitlines()[0], "content": schema}
        for kind in every
    }


def _documented(answer: type[BaseModel], takes: dict[str, Any]) -> dict[str, Any]:
    """Return what documents a route whose answer a worker has written already."""
    responses = {200: {"model": answer, "description": "Done."}, **_problems(*UPLOADS)}
    return {"response_model": None, "responses": responses, "openapi_extra": takes}


def _takes(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": dict(content)}}


_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {FIELD: _BYTES["schema"]}, "required": [FIELD]}}
PICTURE = _takes({MULTIPART: _FORM, RAW: _BYTES, "image/png": _BYTES, "image/jpeg": _BYTES})
IMAGES = _takes(
    {
        JSON: {"schema": answers.Images.model_json_schema()},
        RAW: _BYTES,
    }
)
DIGIT = _takes({RAW: _BYTES})
UPLOADS = (Malformed, Unknown, TooSlow, TooLarge, WrongType, Unreadable, Busy, TookTooLong)


class Server:
    """What the routes share.

    Attributes:
        pool: of workers.
        receiver: of bodies.
        models: what there is to say about each.
    """

    def __init__(self, models: Sequence[ServedModel], pool: Pool, limits: Limits) -> None:
        self.pool, self.receiver = pool, Receiver(limits)
        shipped = {model.name: model.shipped for model in models}
        self.models = [{**model, "shipped": shipped[model["name"]]} for model in pool.models]

    def model(self, name: str | None) -> str:
        """Return the name of the model that is asked for.

        Raises:
            Unknown: there is none of that name.
        """
        known = [str(model["name"]) for model in self.models]
        if name is None:
            return known[0]
        if name not in known:
            raise Unknown(f"no model {name!r}; there are {', '.join(known)}")
        return name

    async def picture(
        self, request: Request, task: str, model: str | None, **options: int | None
    ) -> Response:
        """Answer with what a task makes of the picture in a request."""
        name = self.model(model)
        with self.receiver.body() as body:
            picture = await body.picture(request)
            job = Job(task, name, picture, options)
            return _json(await self.pool.run(job, photo=is_photo(picture)))

    async def images(
        self, request: Request, task: str, model: str | None, also: str = RAW, **options: int | None
    ) -> Response:
        """Answer with what a task makes of the 28×28 images in a request."""
        name = self.model(model)
        with self.receiver.body() as body:
            job = Job(task, name, await body.whole(request, also), options)
            return _json(await self.pool.run(job, photo=False))


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def create_app(
    models: Sequence[ServedModel], pool: Pool, limits: Limits | None = None, key: str | None = None
) -> Guard:
    """Return the ASGI application.

    Args:
        models: that the pool has loaded.
        pool: of workers, started.
        limits: of what is accepted.
        key: what to ask for in the header ``Authorization``, if anything.
    """
    app = FastAPI(
        title="Chiffres",
        version=chiffres.__version__,
        description="Reads handwritten digits.",
        docs_url=None,
        redoc_url=None,
    )
    metrics = Metrics(pool)
    server = Server(models, pool, limits or Limits())
    _add_readings(app, server)
    _add_state(app, server, metrics)
    _add_page(app)
    _add_problems(app, metrics)
    return Guard(app, metrics, key)


def _add_readings(app: FastAPI, server: Server) -> None:
    @app.post("/v1/read", **_documented(answers.Picture, PICTURE))
    async def read(request: Request, model: ModelName = None) -> Response:
        """Read the digits in a picture: a photo, a scan, a drawing."""
        return await server.picture(request, "read", model)

    @app.post("/v1/classify", **_documented(answers.Classified, IMAGES))
    async def classify(request: Request, model: ModelName = None) -> Response:
        """Return the probabilities of the ten digits for each image of 28×28."""
        document = media_type(request) == JSON
        return await server.images(request, "classify", model, JSON, document=document)

    @app.post("/v1/explain", **_documented(answers.Explained, PICTURE))
    async def explain(
        request: Request,
        model: ModelName = None,
        digit: DigitNumber = 0,
        number: MapNumber = None,
        drawn: Drawn = False,
    ) -> Response:
        """Read a picture, and return what the network was given and what it saw in one digit."""
        options = {"digit": digit, "inspected": number, "drawn": drawn}
        return await server.picture(request, "explain", model, **options)

    @app.post("/v1/layers", **_documented(answers.Seen, DIGIT))
    async def layers(
        request: Request, model: ModelName = None, number: MapNumber = None
    ) -> Response:
        """Return what the network sees in one image of 28×28 bytes."""
        return await server.images(request, "layers", model, inspected=number)


def _add_state(app: FastAPI, server: Server, metrics: Metrics) -> None:
    @app.get("/v1/models", responses=_problems())
    async def models() -> answers.Models:
        """Return the models that can be asked for by name."""
        return answers.Models.model_validate({"models": server.models})

    @app.get("/healthz", responses={503: {"model": answers.Health}})
    async def healthz(response: Response) -> answers.Health:
        """Say whether the server can answer."""
        alive = server.pool.alive
        response.status_code = 200 if alive else 503
        return answers.Health(
            status="ok" if alive else "starting", workers=alive, waiting=server.pool.waiting
        )

    text = {"text/plain": {"schema": {"type": "string"}}}

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": text, "description": "Metrics."}, **_problems()},
    )
    async def measurements() -> Response:
        """Return requests, latency and what was rejected, in the format of Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    words = {
        language: {
            key: sentence
            for key, sentence in Words(language).catalogue.items()
            if key.startswith(WORDS)
        }
        for language in languages()
    }
    documented = docs_page(app.openapi())

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", media_type="text/html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(documented)

    @app.get("/words/{language}.json", include_in_schema=False)
    async def sentences(language: str) -> JSONResponse:
        if language not in words:
            raise Unknown(f"no language {language!r}; there are {', '.join(words)}")
        return JSONResponse(words[language])

    app.mount("/page", StaticFiles(directory=PAGE), name="page")


def _add_problems(app: FastAPI, metrics: Metrics) -> None:
    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        metrics.rejected.labels(error.kind).inc()
        return problem_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        metrics.rejected.labels(Unreadable.kind).inc()
        where = ".".join(map(str, first["loc"]))
        return problem_response(Unreadable(f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        about = Problem(error.detail)
        about.status, about.kind = error.status_code, HTTPStatus(error.status_code).name.lower()
        return problem_response(about, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        return problem_response(Problem(f"an error of the server: {type(error).__name__}"))
