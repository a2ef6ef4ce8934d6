"""Tests of requests on connections that were just closed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import aiokafka.conn
import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from services.runtime.kafka_connections import HeedfulConnection, heed_closed_connections
from tests.support.eventually import eventually

LOOPS = pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@asynccontextmanager
async def connecting() -> AsyncIterator[HeedfulConnection]:
    """A connection to a server that answers nothing."""
    taken: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    async def is_made() -> bool:
        return connection._writer is not None

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    connection = HeedfulConnection("127.0.0.1", server.sockets[0].getsockname()[1], request_timeout_ms=5_000)
    task = asyncio.create_task(connection.connect())
    try:
        await eventually(is_made)
        yield connection
    finally:
        await asyncio.gather(task, return_exceptions=True)
        for writer in taken:
            writer.close()
        server.close()


def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], work: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work())


@LOOPS
def test_a_request_on_a_connection_that_was_just_closed_is_an_error_of_kafkas(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def work() -> None:
        async with connecting() as connection:
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            with pytest.raises(KafkaConnectionError):
                await connection.send(ApiVersionRequest())
            with pytest.raises(KafkaConnectionError):
                await connection.send(ApiVersionRequest())

    run(loop_factory, work)


@LOOPS
def test_a_token_on_a_connection_that_was_just_closed_is_an_error_of_kafkas(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def work() -> None:
        async with connecting() as connection:
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            with pytest.raises(KafkaConnectionError):
                await connection._send_sasl_token(b"token")

    run(loop_factory, work)


def test_another_runtime_error_is_what_it_was() -> None:
    async def work() -> None:
        async with connecting() as connection:
            connection._next_correlation_id = broken
            with pytest.raises(RuntimeError, match="broken"):
                connection.send(ApiVersionRequest())
            connection.close()

    def broken() -> int:
        raise RuntimeError("broken")

    run(uvloop.new_event_loop, work)


def test_every_client_makes_such_connections_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka.conn, "AIOKafkaConnection", aiokafka.conn.AIOKafkaConnection)

    heed_closed_connections()

    async def work() -> None:
        with pytest.raises(OSError, match="Connect"):
            await aiokafka.conn.create_conn("127.0.0.1", 1)

    run(uvloop.new_event_loop, work)
    assert aiokafka.conn.AIOKafkaConnection is HeedfulConnection
