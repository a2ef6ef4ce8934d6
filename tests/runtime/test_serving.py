"""A process takes so many connections and no more; one beyond that is told so, and others come in as soon as one is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from services.runtime import serving
from services.runtime.serving import serve
from tests.support.eventually import eventually
from tests.support.ports import free_port

_ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self) -> tuple[int, bytes]:
        """The answer's status and head."""
        self.writer.write(_ASKED)
        head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1]), head


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[_Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield _Connection(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a server that takes three connections and answers 200."""

    async def fine(request: web.Request) -> web.Response:
        return web.Response()

    app, port = web.Application(), free_port()
    app.router.add_get("/", fine)
    runner = await serve(app, "127.0.0.1", port, shutdown_seconds=0.1, most_connections=3)
    yield port
    await runner.cleanup()


async def test_a_connection_beyond_the_bound_is_answered_by_503_and_closed(port: int) -> None:
    async with AsyncExitStack() as held:
        taken = [await held.enter_async_context(_connected(port)) for _ in range(3)]
        assert [(await connection.ask())[0] for connection in taken] == [200] * 3
        async with _connected(port) as beyond:
            status, head = await beyond.ask()
            assert status == 503
            assert b"\r\nRetry-After: 1\r\n" in head
            answer = json.loads(await beyond.reader.read())
            assert answer == {"message": "too many connections", "error": "Service Unavailable", "statusCode": 503}
        assert (await taken[0].ask())[0] == 200

    async def is_taken() -> bool:
        async with _connected(port) as connection:
            return (await connection.ask())[0] == 200

    assert await eventually(is_taken)


async def test_a_connection_that_says_nothing_counts_and_beyond_the_bound_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_REFUSED_SECONDS", 0.05)
    async with AsyncExitStack() as held:
        taken = [await held.enter_async_context(_connected(port)) for _ in range(3)]
        await taken[-1].ask()
        async with _connected(port) as beyond:
            assert await beyond.reader.read() == b""
