"""Owns the processes behind the API's own tests: engine, projector and API on a real Kafka, and a connection that can be cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.kafka.broker import Broker
from infra.stack.plan import children_of
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.support.stack import RunningStack

_NEEDED = ("engine", "projector", "api")


@asynccontextmanager
async def api_processes(settings: Settings, broker: Broker | None = None, **environment: str) -> AsyncIterator[RunningStack]:
    """The three processes, ready; what the test kills stays down until the test starts it."""
    await ensure_topics(settings)
    children = {name: child for name, child in children_of(settings, **environment).items() if name in _NEEDED}
    stack = RunningStack(settings, children, broker)
    try:
        for child in children.values():
            child.start()
        for name in children:
            await stack.until_ready(name)
        yield stack
    finally:
        for child in children.values():
            child.kill()


@asynccontextmanager
async def cut_after(port: int, seconds: float) -> AsyncIterator[str]:
    """The URL of a way to the port whose first connection is cut, both ends of it, this long after it was made."""
    connections = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        limit = seconds if connections == 1 else None
        try:
            async with asyncio.timeout(limit):
                await asyncio.gather(forward(reader, up_writer), forward(up_reader, writer))
        except (TimeoutError, ConnectionError):
            pass
        finally:
            up_writer.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
