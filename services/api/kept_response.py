"""Owns the answer that was made before it was asked: its head and body are bytes, and leave in one piece.

aiohttp makes a response's head anew each time, which costs more than all else that a read of a known campaign needs.
"""

from typing import Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11
from aiohttp.web_request import BaseRequest

REQUEST_ID_HEADER: Final = "X-Request-Id"
_HEAD = (
    "HTTP/1.1 200 OK\r\n"
    f"{hdrs.CONTENT_TYPE}: application/json\r\n"
    f'{hdrs.ETAG}: "%s"\r\n'
    f"{hdrs.CONTENT_LENGTH}: %d\r\n"
    f"{hdrs.SERVER}: {SERVER_SOFTWARE}\r\n"
    f"{hdrs.DATE}: "
)


def kept_head(body: bytes, etag: str) -> bytes:
    """The head of a 200 with this JSON and entity tag, up to its date."""
    return (_HEAD % (etag, len(body))).encode()


def takes_kept(request: web.Request) -> bool:
    """Whether the client speaks HTTP/1.1 and keeps the connection, as the head supposes."""
    return request.version == HttpVersion11 and request.keep_alive


class KeptResponse(web.StreamResponse):
    """`head` as `kept_head` gives it; the request's id goes out with it. For a request that `takes_kept`."""

    _eof_sent = False

    def __init__(self, head: bytes, body: bytes, request_id: str) -> None:
        super().__init__()
        self._keep_alive = True
        named = f"{rfc822_formatted_time()}\r\n{REQUEST_ID_HEADER}: {request_id}\r\n\r\n"
        self._parts = head, named.encode(), body
        self._body_length = len(body)

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Return once the client has taken so much that more may be written, as any other response does when it ends."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(b"".join(self._parts))
        self._eof_sent = True
        if request.protocol.writing_paused:
            await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """All has left with the head."""
