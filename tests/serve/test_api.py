"""The API: what it answers, and what it refuses."""

from __future__ import annotations

import base64
import io
import signal
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from chiffres.reading import Reader
from chiffres.serve.server import Server
from tests.serve.conftest import running
from tests.serve.pictures import CROSSES, STROKES, drawing, drawn, encoded, photo

PNG = {"Content-Type": "image/png"}


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem document that a response has to be."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document.keys() == {"type", "title", "status", "detail"}
    assert document["status"] == status
    return document


def test_a_drawing_is_read_as_the_reader_reads_it(client: httpx.Client) -> None:
    answer = client.post("/v1/read", content=drawing(7), headers=PNG)
    assert answer.status_code == 200
    assert answer.json() == Reader().read(drawing(7)).json()
    assert answer.json()["text"] == "7"


def test_a_photo_is_read_from_a_form_or_as_it_is(client: httpx.Client) -> None:
    as_it_is = client.post("/v1/read", content=photo(), headers={"Content-Type": "image/jpeg"})
    form = client.post("/v1/read", files={"picture": ("a.jpg", photo(), "image/jpeg")})
    assert as_it_is.json() == form.json()
    assert as_it_is.json()["text"] == "2345"


def test_a_batch_is_classified_from_json_or_bytes(client: httpx.Client) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    images[0, 0, 0] = ord("{")  # bytes that begin as JSON does are bytes all the same
    document = client.post("/v1/classify", json={"images": images.tolist()}).json()
    raw = {"Content-Type": "application/octet-stream"}
    assert client.post("/v1/classify", content=images.tobytes(), headers=raw).json() == document
    np.testing.assert_allclose(document["probabilities"], Reader().classify(images), atol=2e-6)
    assert (document["schema"], document["model"]) == (1, "reader")


def test_models_are_listed_and_asked_by_name(client: httpx.Client) -> None:
    models = client.get("/v1/models").json()["models"]
    assert [model["name"] for model in models] == ["reader", "small", "plain"]
    assert [model["shipped"] for model in models] == [True, False, False]
    assert models[1]["convolution"] == [4, 26, 26]
    assert models[2]["convolution"] is None
    image = bytes(784)
    answers = [
        client.post("/v1/classify", params={"model": model["name"]}, content=image).json()
        for model in models
    ]
    assert [answer["model"] for answer in answers] == ["reader", "small", "plain"]
    assert (
        "reader, small, plain"
        in problem(
            client.post("/v1/read", params={"model": "other"}, content=drawing(1), headers=PNG), 404
        )["detail"]
    )


def test_a_reading_is_explained(client: httpx.Client) -> None:
    answer = client.post("/v1/explain", params={"digit": 1, "map": 3}, content=photo()).json()
    assert answer["size"] == [1200, 700]
    assert [digit["value"] for digit in answer["digits"]] == [2, 3, 4, 5]
    boxes = [digit["box"] for digit in answer["picture"]["digits"]]
    assert [digit["box"] for digit in answer["digits"]] == boxes
    image = base64.b64decode(answer["digits"][1]["image"])
    assert client.post("/v1/layers", params={"map": 3}, content=image).json() == answer["seen"]
    assert answer["seen"]["inspected"]["map"] == 3


def test_in_a_drawing_digits_may_touch_and_only_what_is_dark_is_ink(client: httpx.Client) -> None:
    pair = [
        [(0.6 * x + left, 0.2 + 0.6 * y) for x, y in stroke]
        for digit, left in ((5, 0.05), (8, 0.25))
        for stroke in STROKES[digit]
    ]
    negative = encoded(255 - np.asarray(Image.open(io.BytesIO(drawing(5)))), "PNG")

    def text(picture: bytes, is_drawing: bool) -> str:
        parameters = {"drawn": is_drawing}
        answer = client.post("/v1/explain", params=parameters, content=picture, headers=PNG)
        return str(answer.json()["picture"]["text"])

    assert [text(drawn(pair), True), text(drawn(pair), False)] == ["58", "58"]
    assert [text(negative, True), text(negative, False)] == ["", "5"]


def test_what_is_no_digit_is_explained_all_the_same(client: httpx.Client) -> None:
    answer = client.post("/v1/explain", content=drawn(CROSSES), headers=PNG).json()
    assert answer["picture"]["text"] == ""
    assert [digit["value"] for digit in answer["digits"]] == [None]
    assert answer["seen"]["probabilities"] == answer["digits"][0]["probabilities"]
    blank = client.post("/v1/explain", content=drawn([]), headers=PNG).json()
    assert (blank["digits"], blank["seen"]) == ([], None)


def test_it_says_how_it_is(client: httpx.Client) -> None:
    health = client.get("/healthz").json()
    assert (health["status"], health["workers"]) == ("ok", 2)
    client.post("/v1/read", content=b"x", headers={"Content-Type": "text/plain"})
    metrics = client.get("/metrics").text
    assert 'chiffres_requests_total{path="/healthz",status="200"}' in metrics
    assert 'chiffres_rejected_total{reason="type"}' in metrics
    assert 'chiffres_request_seconds_bucket{le="0.1",path="/v1/read"}' in metrics
    assert "chiffres_workers 2.0" in metrics


def test_every_answer_has_the_security_headers(client: httpx.Client) -> None:
    for path in ("/", "/docs", "/page/main.js", "/v1/models", "/nothing", "/words/fr.json"):
        headers = client.get(path).headers
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.get("/v1/models").headers["cache-control"] == "no-store"
    assert "server" not in client.get("/").headers


def test_the_page_asks_for_nothing_from_elsewhere(client: httpx.Client) -> None:
    paths = ("/", "/docs", "/page/style.css", "/page/icon.svg", "/page/main.js", "/page/api.js")
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200
        allowed = ("http://www.w3.org/", "http://127.0.0.1:8000/v1", "https://www.rfc-editor.org/")
        text = answer.text
        for known in allowed:
            text = text.replace(known, "")
        assert "http:" not in text
        assert "https:" not in text


def test_the_documentation_names_every_route(client: httpx.Client) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in page


@pytest.mark.parametrize(
    ("content", "kind", "status", "detail"),
    [
        (b"", "image/png", 422, "empty"),
        (b"no picture at all", "image/png", 422, "not an image"),
        (drawing(3)[:400], "image/png", 422, "cannot be read"),
        (drawing(3), "text/html", 415, "text/html: expected image/"),
        (b"--x\r\n", "multipart/form-data", 400, "the form cannot be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 422, "SVG"),
    ],
)
def test_what_is_no_picture_is_refused(
    client: httpx.Client, content: bytes, kind: str, status: int, detail: str
) -> None:
    answer = client.post("/v1/read", content=content, headers={"Content-Type": kind})
    assert detail in problem(answer, status)["detail"]


def test_a_bomb_is_refused_by_its_header(client: httpx.Client) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + check

    side = 60_000
    size = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes(10_000_000))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert client.post("/v1/read", content=bomb, headers=PNG).status_code in (413, 422)
    large = encoded(np.zeros((5000, 5000), np.uint8), "PNG")
    assert (
        "at most 24,000,000"
        in problem(client.post("/v1/read", content=large, headers=PNG), 413)["detail"]
    )


def test_forms_with_many_parts_are_refused(client: httpx.Client) -> None:
    many = [("picture", (f"{i}.png", b"x", "image/png")) for i in range(10_000)]
    assert "Too many files" in problem(client.post("/v1/read", files=many), 400)["detail"]
    fields = {f"field{i}": (None, "x") for i in range(10_000)}
    assert "Too many fields" in problem(client.post("/v1/read", files=fields), 400)["detail"]
    nothing = client.post("/v1/read", files={"other": ("a.png", b"x", "image/png")})
    assert "a part named 'picture'" in problem(nothing, 400)["detail"]


@pytest.mark.parametrize(
    ("document", "detail"),
    [
        ({"images": []}, "images: List should have at least 1 item"),
        ({"images": [[[0] * 28] * 27]}, "images.0: List should have at least 28 items"),
        (
            {"images": [[[256] * 28] * 28]},
            "images.0.0.0: Input should be less than or equal to 255",
        ),
        ({"images": [[[0] * 28] * 28], "more": 1}, "more: Extra inputs"),
    ],
)
def test_what_is_no_batch_is_refused(
    client: httpx.Client, document: dict[str, Any], detail: str
) -> None:
    assert detail in problem(client.post("/v1/classify", json=document), 422)["detail"]


def test_a_batch_over_the_limit_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/classify", content=bytes(784 * 513))
    assert "at most 512" in problem(answer, 413)["detail"]
    assert "expected 784" in problem(client.post("/v1/classify", content=b"1234"), 422)["detail"]


def test_the_key_is_asked_for_where_there_is_one(strict_address: str, strict: httpx.Client) -> None:
    assert strict.get("/v1/models").status_code == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "open sesame"}):
        answer = httpx.get(f"{strict_address}/v1/models", headers=headers)
        assert "Authorization: Bearer KEY" in problem(answer, 401)["detail"]
        assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{strict_address}/healthz").status_code == 200
    assert httpx.get(f"{strict_address}/metrics").status_code == 401
    assert httpx.get(strict_address).status_code == 200


def test_an_upload_over_the_limit_is_refused_before_it_has_arrived(strict: httpx.Client) -> None:
    assert (
        "at most 400,000"
        in problem(strict.post("/v1/read", content=bytes(500_000), headers=PNG), 413)["detail"]
    )

    def endless() -> Any:
        while True:
            yield bytes(65_536)

    answer: httpx.Response | None = None
    try:
        answer = strict.post("/v1/read", content=endless(), headers=PNG)
    except httpx.WriteError:  # the connection was closed while we still wrote
        answer = None
    if answer is not None:
        problem(answer, 413)


def test_a_picture_over_the_limit_of_pixels_is_refused(strict: httpx.Client) -> None:
    picture = encoded(np.zeros((1500, 1500), np.uint8), "PNG")
    assert (
        "1500×1500" in problem(strict.post("/v1/read", content=picture, headers=PNG), 413)["detail"]
    )


@pytest.mark.parametrize(
    "begun",
    [
        "",
        "POST /v1/read HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer open sesame\r\n"
        "Content-Type: image/png\r\nContent-Length: 1000\r\n\r\nabc",
    ],
)
def test_a_slow_client_is_not_waited_for(strict_address: str, begun: str) -> None:
    host, port = strict_address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(begun.encode())
        answer = b""
        while received := connection.recv(4096):
            answer += received
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"within 1 seconds" in answer


def test_connections_over_the_limit_are_turned_away(strict_address: str) -> None:
    host, port = strict_address.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(12)]
    try:
        with socket.create_connection((host, int(port)), timeout=10) as one_more:
            answer = one_more.recv(4096)
    finally:
        for connection in held:
            connection.close()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in answer


def test_what_is_under_way_is_finished_before_it_stops() -> None:
    command = ("-m", "chiffres", "serve", "--port", "0", "--workers", "1")
    with (
        running(*command) as (address, process),
        httpx.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(6) as threads,
    ):
        picture = photo("0123456789")
        answers = [threads.submit(client.post, "/v1/read", content=picture) for _ in range(6)]
        while client.get("/healthz").json()["waiting"] < 5 and not any(a.done() for a in answers):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # who is impatient changes nothing
        assert {answer.result().status_code for answer in answers} == {200}
        assert process.wait(30) == 0


def test_only_a_second_ctrl_c_leaves_something_unfinished() -> None:
    server = Server(uvicorn.Config(""))
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        server.handle_exit(each, None)
    assert (server.should_exit, server.force_exit) == (True, False)
    server.handle_exit(signal.SIGINT, None)
    assert server.force_exit
