"""A client that does not read its answers holds a bounded part of the API, and nothing that others wait for."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.api.service import Service
from tests.support.eventually import eventually

_RECEIVE_BYTES = 16 * 1024


@asynccontextmanager
async def _asking(service: Service, asked: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which all this is sent; little fits into its client's buffers."""
    server = service.client.server
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (server.host, server.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=_RECEIVE_BYTES)
    writer.write(asked)
    try:
        yield reader
    finally:
        writer.transport.abort()


def _head(service: Service, method: str, path: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {service.headers['Authorization']}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _unsent(service: Service) -> list[int]:
    """Bytes that wait in the API's memory, for each connection that takes none at the moment."""
    connections = service.client.server.handler.connections
    return [each.transport.get_write_buffer_size() for each in connections if each.transport is not None and each.writing_paused]


async def test_pipelined_reads_wait_until_the_answers_before_them_are_read(service: Service) -> None:
    variables = {"variableValues": {"text": "x" * 500_000}}
    campaign = await service.create(path="/v2/campaign", assistantOverrides=variables)
    path = f"/v2/campaign/{campaign['id']}"
    answers = 30

    async def unsent() -> list[int]:
        return _unsent(service)

    async with _asking(service, _head(service, "GET", path) * answers) as reader:
        await eventually(unsent)
        for _ in range(answers):
            # others are answered meanwhile, and each of them gives the one that does not read its turn
            await service.answer("GET", "/campaign?limit=1")
        assert [size < 1_000_000 for size in _unsent(service)] == [True]
        for _ in range(answers):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert length > 500_000
            await reader.readexactly(length)
