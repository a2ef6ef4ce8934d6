"""Owns how a process listens: with a bound on its connections, beyond which one is told 503 and closed, and on how long one stalls."""

import asyncio
import errno
from typing import cast

from aiohttp import web

from services.runtime.errors import StartupError
from services.runtime.stalled_connections import StalledConnections

MOST_CONNECTIONS = 256
"""Of a process that only tells how it is."""
_IDLE_SECONDS = 75.0
"""Longer than proxies keep a connection that they may use again; aiohttp's own hour would let idle ones fill the bound."""
_STALLED_SECONDS = 120.0
"""How long a client may take nothing of what it is sent: longer than one that works on what it has read, such as a page of contacts."""
_REFUSED_SECONDS = 1.0
_REFUSAL_BODY = b'{"message":"too many connections","error":"Service Unavailable","statusCode":503}'
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSAL_BODY), _REFUSAL_BODY)
)


async def serve(
    app: web.Application, host: str, port: int, shutdown_seconds: float = 10.0, most_connections: int = MOST_CONNECTIONS
) -> web.AppRunner:
    """Start the app without signal handlers or access log; `await runner.cleanup()` finishes requests under way and stops.

    Raises `StartupError` where the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=shutdown_seconds, keepalive_timeout=_IDLE_SECONDS)
    await runner.setup()
    try:
        await _BoundedSite(runner, host, port, most_connections).start()
    except OSError as error:
        await runner.cleanup()
        if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise StartupError(f"can not listen on {host}:{port}: {error.strerror}; use another port or host") from error
        raise
    return runner


class _BoundedSite(web.BaseSite):
    """A TCP site that takes at most so many connections, and keeps none whose client takes nothing."""

    _watching: "asyncio.Task[None] | None" = None

    def __init__(self, runner: web.AppRunner, host: str, port: int, most_connections: int) -> None:
        super().__init__(runner)
        self._address = host, port
        self._most_connections = most_connections

    @property
    def name(self) -> str:
        return "http://{}:{}".format(*self._address)

    async def start(self) -> None:
        await super().start()
        taken = self._runner.server
        if taken is None:
            raise RuntimeError("the runner is not set up")

        def new_connection() -> asyncio.BaseProtocol:
            return taken() if len(taken.connections) < self._most_connections else _Refusal()

        host, port = self._address
        self._server = await asyncio.get_running_loop().create_server(new_connection, host, port, backlog=self._backlog)
        self._watching = asyncio.create_task(StalledConnections(taken, _STALLED_SECONDS).watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        await super().stop()


class _Refusal(asyncio.Protocol):
    """Answers what comes on a connection beyond the bound, once, and closes it; one on which nothing comes is closed soon."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._closing = asyncio.get_running_loop().call_later(_REFUSED_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(_REFUSAL)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing.cancel()
