"""What is answered when something goes wrong: problem documents, as RFC 9457 has them.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 1
"""Seconds after which a client that was turned away may come again."""


class ProblemDocument(BaseModel):
    """What went wrong, for a program (``type``) and for a person (``detail``)."""

    type: str = Field(examples=["urn:chiffres:problem:busy"])
    title: str = Field(examples=["Service Unavailable"])
    status: int = Field(examples=[503])
    detail: str = Field(examples=["8 photos are waiting already; try again in a second"])


class Problem(Exception):  # noqa: N818 - it is what is answered, named as RFC 9457 names it
    """Something to answer a problem document to."""

    status = 500
    kind = "internal"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def document(self) -> dict[str, Any]:
        """Return the document's members."""
        return ProblemDocument(
            type=f"urn:chiffres:problem:{self.kind}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
        ).model_dump()

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        return {}


class Malformed(Problem):
    """The body is not in the form that its headers announce."""

    status, kind = 400, "malformed"


class NoKey(Problem):
    """The key to this server is missing or wrong."""

    status, kind = 401, "key"

    def headers(self) -> dict[str, str]:
        """Return how to bring a key."""
        return {"WWW-Authenticate": "Bearer"}


class Unknown(Problem):
    """There is no such thing."""

    status, kind = 404, "unknown"


class TooSlow(Problem):
    """The request did not arrive in time."""

    status, kind = 408, "slow"

    def headers(self) -> dict[str, str]:
        """Return that what is still under way is not waited for."""
        return {"Connection": "close"}


class TooLarge(Problem):
    """Over one of the limits."""

    status, kind = 413, "large"

    def headers(self) -> dict[str, str]:
        """Return that the rest is not wanted."""
        return {"Connection": "close"}


class WrongType(Problem):
    """A body of another type than those that are understood."""

    status, kind = 415, "type"


class Unreadable(Problem):
    """The body is in a form that is understood, and yet makes no sense."""

    status, kind = 422, "unreadable"


class Crashed(Problem):
    """Workers died over the request."""

    status, kind = 500, "crashed"


class Busy(Problem):
    """More is waiting than may wait."""

    status, kind = 503, "busy"

    def headers(self) -> dict[str, str]:
        """Return when to try again."""
        return {"Retry-After": str(RETRY_AFTER)}


class TookTooLong(Problem):
    """There was no answer in time."""

    status, kind = 504, "timeout"
