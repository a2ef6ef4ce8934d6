"""A client that takes nothing of its answer is cut off, and one that reads slowly is not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from services.runtime import serving
from services.runtime.serving import serve
from services.runtime.stalled_connections import StalledConnections
from tests.support.eventually import eventually
from tests.support.ports import free_port

_ANSWER_BYTES = 16 * 1024 * 1024
_BUFFER_BYTES = 64 * 1024
_MOST_SECONDS = 60.0


@dataclass
class _Served:
    """A server of one large answer, whole or in pieces, and what became of those that were written."""

    server: web.Server
    stalled: StalledConnections
    port: int
    ended: list[type[BaseException] | None]
    now: float = 0.0

    async def connections(self) -> int:
        return len(self.server.connections)

    def look_later(self) -> None:
        self.now += _MOST_SECONDS
        self.stalled.look(self.now)

    async def connections_later(self) -> int:
        self.look_later()
        return await self.connections()


@asynccontextmanager
async def _serving() -> AsyncIterator[_Served]:
    async def whole(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * _ANSWER_BYTES)

    async def pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            for _ in range(16):
                await response.write(b"x" * (_ANSWER_BYTES // 16))
            await response.write_eof()
        except BaseException as error:
            ended.append(type(error))
            raise
        ended.append(None)
        return response

    ended: list[type[BaseException] | None] = []
    app, port = web.Application(), free_port()
    app.add_routes([web.get("/whole", whole), web.get("/pieces", pieces)])
    runner = await serve(app, "127.0.0.1", port, shutdown_seconds=0.1)
    assert runner.server is not None
    yield _Served(runner.server, StalledConnections(runner.server, _MOST_SECONDS), port, ended)
    await runner.cleanup()


@asynccontextmanager
async def _asking(served: _Served, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client with small buffers that has read the head of its answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", served.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=_BUFFER_BYTES)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
async def test_one_that_reads_a_little_each_time_gets_all_and_one_that_stops_is_cut(path: str) -> None:
    async with _serving() as served, _asking(served, path) as reader:
        for _ in range(8):
            await reader.readexactly(_ANSWER_BYTES // 16)
            served.look_later()
        assert await served.connections() == 1
        await eventually(served.connections_later, lambda count: count == 0)
        ended = served.ended[:]
    if path == "/pieces":
        assert [error is not None and issubclass(error, ConnectionError) for error in ended] == [True]


async def test_one_whose_connection_is_being_closed_already_is_cut_too() -> None:
    async with _serving() as served, _asking(served, "/whole"):
        served.look_later()
        for connection in served.server.connections:
            connection.force_close()
        assert await served.connections() == 1
        await eventually(served.connections_later, lambda count: count == 0)


async def test_a_server_watches_for_such_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_STALLED_SECONDS", 0.1)
    async with _serving() as served, _asking(served, "/pieces"):
        await eventually(served.connections, lambda count: count == 0)
