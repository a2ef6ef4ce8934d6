"""Owns how a request's body is read: bounded in size, in time and in how many large ones are in memory, and JSON only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.api.errors import BodyTimeoutError, InvalidRequestError, NotJsonError, TooLargeError, UnavailableError

MAX_BODY_BYTES = 64 * 1024 * 1024
LARGE_BODY_BYTES = 1024 * 1024
"""Above this a body is parsed beside the event loop and counts among the large ones."""
_READ_SECONDS = 120.0
_ROOM_SECONDS = 30.0
"""How long a large body waits, half of what a client does."""
TOO_DEEP = "the body is nested too deeply"


class BodyReader:
    """Reads bodies whole; a large one waits, unread, until there is room for it."""

    def __init__(self, max_large_bodies: int, read_seconds: float = _READ_SECONDS, room_seconds: float = _ROOM_SECONDS) -> None:
        self._room = asyncio.Semaphore(max_large_bodies)
        self._read_seconds = read_seconds
        self._room_seconds = room_seconds

    @asynccontextmanager
    async def read(self, request: web.Request, limit: int = MAX_BODY_BYTES) -> AsyncIterator[bytes]:
        """The body; while the block lasts a large one keeps its room.

        Raises `TooLargeError`, `BodyTimeoutError`, `UnavailableError` where no room came, `InvalidRequestError` where it is badly encoded.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._read_seconds) as reading:
                    body = await self._read_all(request, limit, stack, reading)
            except TimeoutError as error:
                raise BodyTimeoutError(f"the body did not come within {self._read_seconds:g} seconds") from error
            except (HttpProcessingError, web.RequestPayloadError) as error:
                raise InvalidRequestError("the body's encoding is broken") from error
            yield body

    async def _read_all(self, request: web.Request, limit: int, stack: AsyncExitStack, reading: asyncio.Timeout) -> bytes:
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        body, has_room = bytearray(), False
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
            if len(body) > LARGE_BODY_BYTES and not has_room:
                await self._take_room(stack, reading)
                has_room = True
        return bytes(body)

    async def _take_room(self, stack: AsyncExitStack, reading: asyncio.Timeout) -> None:
        """Until the stack ends. The client's time stands still meanwhile, since nothing is read of what it sends."""
        now = asyncio.get_running_loop().time
        left = (reading.when() or now()) - now()
        reading.reschedule(None)
        try:
            async with asyncio.timeout(self._room_seconds):
                await stack.enter_async_context(self._room)
        except TimeoutError as error:
            raise UnavailableError("too many large bodies are in memory; nothing was accepted") from error
        reading.reschedule(now() + left)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body must be at most {limit} bytes")


def require_json(request: web.Request) -> None:
    """Raises `NotJsonError` unless the request says that its body is JSON."""
    content_type = request.content_type
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise NotJsonError("the body must be JSON, declared as Content-Type: application/json")


def parse_json(body: bytes) -> Any:
    """What the body holds; raises `InvalidRequestError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from error
