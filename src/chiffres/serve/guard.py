"""Around every request: the key, the security headers and the measurements."""

from __future__ import annotations

import hmac
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chiffres.serve.pool import Pool
from chiffres.serve.problems import MEDIA_TYPE, NoKey, Problem

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
KEPT_FROM_OTHERS = ("/v1/", "/metrics")
"""What only who has the key may ask for, where there is one."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What ``/metrics`` tells, in the format of Prometheus."""

    def __init__(self, pool: Pool) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "chiffres_requests", "Requests.", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "chiffres_request_seconds",
            "From a request to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.rejected = Counter(
            "chiffres_rejected", "Requests turned away.", ["reason"], registry=self._registry
        )
        for name, what, value in (
            ("chiffres_waiting", "Readings that wait for a worker.", lambda: pool.waiting),
            ("chiffres_workers", "Workers that run.", lambda: pool.alive),
            ("chiffres_worker_restarts", "Workers replaced so far.", lambda: pool.restarts),
        ):
            Gauge(name, what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all of it."""
        return generate_latest(self._registry)


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, metrics: Metrics, key: str | None) -> None:
        self._app, self._metrics = app, metrics
        self._key = key.encode() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", _cached(scope["path"]))
            await send(message)

        try:
            if self._may_pass(scope):
                await self._app(scope, receive, send_guarded)
            else:
                await self._refuse(scope, receive, send_guarded)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    def _may_pass(self, scope: Scope) -> bool:
        if self._key is None or not scope["path"].startswith(KEPT_FROM_OTHERS):
            return True
        kind, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self._key)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = NoKey("this server asks for a key: send the header Authorization: Bearer KEY")
        self._metrics.rejected.labels(problem.kind).inc()
        await problem_response(problem)(scope, receive, send)


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return what to answer to a problem."""
    content: dict[str, Any] = problem.document()
    return JSONResponse(
        content, problem.status, {**problem.headers(), **(headers or {})}, MEDIA_TYPE
    )


def _cached(path: str) -> str:
    return "no-store" if path.startswith("/v1/") else "no-cache"
