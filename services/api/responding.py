"""Owns how answers are written to the socket: whole where small, streamed otherwise, and cut off where a stream fails midway."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import hdrs, web
from aiohttp.helpers import ETAG_ANY

from services.api.context import REQUEST_ID
from services.api.kept_response import KeptResponse, takes_kept
from services.api.known_answers import Answer

_WHOLE_BYTES = 256 * 1024
_log = logging.getLogger(__name__)


def json_response(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def unless_known(request: web.Request, answer: Answer) -> web.StreamResponse:
    """The JSON with its `ETag`, or 304 where `If-None-Match` says that the client holds just that (RFC 9110, 13.1.2)."""
    if hdrs.IF_NONE_MATCH in request.headers and any(known.value in (answer.etag, ETAG_ANY) for known in request.if_none_match or ()):
        return web.Response(status=304, headers={hdrs.ETAG: f'"{answer.etag}"'})
    if takes_kept(request):
        return KeptResponse(answer.head, answer.body, request[REQUEST_ID])
    return web.Response(body=answer.body, headers={hdrs.CONTENT_TYPE: "application/json", hdrs.ETAG: f'"{answer.etag}"'})


async def write_whole(request: web.Request, response: web.Response) -> web.Response:
    """Return once the response has left our buffers; raises `ConnectionError` where the client is gone."""
    _flush_before_returning(request)
    await response.prepare(request)
    await response.write_eof()
    return response


async def write_chunks(
    request: web.Request, chunks: AsyncIterator[bytes], status: int = 200, content_type: str = "application/json"
) -> web.StreamResponse:
    """Write what comes in pieces, and return once all has left our buffers.

    What fails before the first piece is written is raised, to be answered as an error; after that the connection is
    aborted and `ConnectionAbortedError` raised, so that no client takes a part for the whole.
    """
    headers = {"Content-Type": content_type}
    buffered, whole = await _beginning(chunks)
    if whole:
        return await write_whole(request, web.Response(status=status, body=buffered, headers=headers))
    _flush_before_returning(request)
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    try:
        await response.write(buffered)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    except BaseException as error:
        if request.transport is not None:
            request.transport.abort()
        if isinstance(error, ConnectionError):
            raise
        _log.warning("an answer was cut off: %s", type(error).__name__, extra={"action": "abort-stream"})
        if isinstance(error, Exception):
            raise ConnectionAbortedError("the stream failed midway") from error
        raise
    return response


async def _beginning(chunks: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    buffered = bytearray()
    async for chunk in chunks:
        buffered += chunk
        if len(buffered) > _WHOLE_BYTES:
            return bytes(buffered), False
    return bytes(buffered), True


def _flush_before_returning(request: web.Request) -> None:
    """Let `drain` wait until the kernel has everything: only then is a request counted as answered."""
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=0)
