"""Owns that a client which takes nothing of what it is sent is cut off, and does not hold memory and requests for ever."""

import asyncio
import fcntl
import logging
import struct
import termios
from typing import NamedTuple

from aiohttp import web

_LOOKS = 10
"""So many within the time that a client has."""

_log = logging.getLogger(__name__)


class _Unsent(NamedTuple):
    """So many bytes wait to be taken, and none has been since `since`."""

    transport: asyncio.Transport
    size: int
    since: float


class StalledConnections:
    """Those of a server's connections that wait for their clients.

    One is cut when not a byte was taken for `most_seconds`; a slow client that reads on is never cut. Who waits to write more is told
    so by a `ConnectionError`.
    """

    def __init__(self, server: web.Server, most_seconds: float) -> None:
        self._server = server
        self._most_seconds = most_seconds
        self._unsent: dict[web.RequestHandler, _Unsent] = {}

    async def watch(self) -> None:
        """Look until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._most_seconds / _LOOKS)
            self.look(now())

    def look(self, now: float) -> None:
        """Cut what has not moved; `now` in seconds of a clock that never goes back."""
        unsent: dict[web.RequestHandler, _Unsent] = {}
        for connection in list(self._server.connections):
            before = self._unsent.get(connection)
            # the server lets go of a transport that it closes, which stays until all is sent
            transport = connection.transport or (before.transport if before is not None else None)
            size = 0 if transport is None else _unsent_bytes(transport)
            if transport is None or size == 0:
                continue
            if before is None or before.size != size:
                unsent[connection] = _Unsent(transport, size, now)
            elif now - before.since < self._most_seconds:
                unsent[connection] = before
            else:
                _log.warning("a client that takes nothing of its answer is cut off", extra={"action": "cut-stalled", "unsent_bytes": size})
                # `abort` alone would wake who waits to write as if all had been written
                connection.connection_lost(ConnectionAbortedError("the client takes nothing"))
                transport.abort()
        self._unsent = unsent


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """What waits in our memory and, where something does, what the system holds that the client has not confirmed: so each byte counts."""
    buffered = transport.get_write_buffer_size()
    if buffered == 0:
        return 0
    connection = transport.get_extra_info("socket")
    try:
        (held,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except OSError:
        # it is being closed
        held = 0
    return buffered + int(held)
