"""Receiving a request's body: in memory, never on disk, within the limits of size and time."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from chiffres.serve.limits import Limits
from chiffres.serve.problems import Busy, Malformed, TooLarge, TooSlow, WrongType

MULTIPART, RAW = "multipart/form-data", "application/octet-stream"
JSON = "application/json"
FIELD = "picture"
"""The name of the part of a multipart body that the picture is in."""
PNG = b"\x89PNG\r\n\x1a\n"
DRAWING_SIDE, DRAWING_BYTES = 512, 2**17
"""A PNG of no more pixels along a side, and no more bytes, is read in no time: a drawing."""


class Receiver:
    """Receives bodies.

    Attributes:
        limits: of each body, and of all together.
        held: how many bytes of bodies are in memory.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held = 0

    @contextmanager
    def body(self) -> Iterator[Body]:
        """Yield what receives one body, which is held until the block ends."""
        body = Body(self)
        try:
            yield body
        finally:
            self.held -= body.size


class Body:
    """One request's body."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._limits = receiver, receiver.limits
        self.size = 0

    async def picture(self, request: Request) -> bytes:
        """Return the picture in a request, from a part of a form or from the whole body.

        Raises:
            Malformed: a form without a picture, or no form at all.
            TooSlow, TooLarge, WrongType, Busy: as for ``whole``.
        """
        if media_type(request) != MULTIPART:
            return await self.whole(request, also="image/")
        stream = self._stream(request)
        parser = InMemory(
            request.headers, stream, max_files=1, max_fields=self._limits.parts, max_part_size=1024
        )
        try:
            async with asyncio.timeout(self._limits.receive_seconds):
                form = await parser.parse()
        except TimeoutError:
            raise self._too_slow() from None
        except (MultiPartException, KeyError, ValueError) as error:
            raise Malformed(f"the form cannot be read: {error}") from error
        part = form.get(FIELD)
        if not isinstance(part, UploadFile):
            raise Malformed(f"the form has no file in a part named {FIELD!r}")
        return await part.read()

    async def whole(self, request: Request, also: str) -> bytes:
        """Return the whole body.

        Args:
            request: its type has to be ``application/octet-stream``, not said at all, or
            also: to begin with this.

        Raises:
            TooSlow: it did not arrive in time.
            TooLarge: it is over the limit.
            WrongType: it is of another type.
            Busy: too much is being received at once.
        """
        kind = media_type(request)
        if kind and kind != RAW and not kind.startswith(also):
            raise WrongType(f"{kind}: expected {also}{'*' if also.endswith('/') else ''} or {RAW}")
        chunks = []
        try:
            async with asyncio.timeout(self._limits.receive_seconds):
                async for chunk in self._stream(request):
                    chunks.append(chunk)
        except TimeoutError:
            raise self._too_slow() from None
        return b"".join(chunks)

    async def _stream(self, request: Request) -> AsyncGenerator[bytes, None]:
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._limits.upload_bytes:
            raise TooLarge(_over(f"{int(announced):,} bytes", self._limits))
        try:
            async for chunk in request.stream():
                self._hold(len(chunk))
                yield chunk
        except ClientDisconnect:
            raise Malformed("the connection was closed before the whole body arrived") from None

    def _hold(self, size: int) -> None:
        self.size += size
        self._receiver.held += size
        if self.size > self._limits.upload_bytes:
            raise TooLarge(_over(f"{self.size:,} bytes or more", self._limits))
        if self._receiver.held > self._limits.held_bytes:
            raise Busy("too much is being uploaded at once; try again in a second")

    def _too_slow(self) -> TooSlow:
        return TooSlow(f"the body did not arrive within {self._limits.receive_seconds:g} seconds")


class InMemory(MultiPartParser):
    """Keeps files in memory; nothing that is uploaded touches a disk."""

    spool_max_size = 2**31


def is_photo(picture: bytes) -> bool:
    """Whether reading a picture may take long: anything but a small PNG, by its header."""
    if not picture.startswith(PNG) or len(picture) > DRAWING_BYTES or len(picture) < 24:
        return True
    width, height = struct.unpack(">II", picture[16:24])
    return bool(max(width, height) > DRAWING_SIDE)


def media_type(request: Request) -> str:
    """Return what type a body is said to be, in small letters; empty where that is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _over(what: str, limits: Limits) -> str:
    return f"{what}; at most {limits.upload_bytes:,} are accepted"
