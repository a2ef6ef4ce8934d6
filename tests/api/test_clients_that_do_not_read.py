"""A client that does not read its answers holds a bounded part of the API, and nothing that others wait for."""

import asyncio
import gc
import io
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest

from events.campaigns import CampaignDraft
from services.api import campaign_writes
from services.api.plans import Asked, Plan, plan_creation
from tests.api.service import Service, draft
from tests.support.eventually import eventually

JSON = {"Content-Type": "application/json"}
_BUFFER_BYTES = 16 * 1024


@asynccontextmanager
async def _not_reading(service: Service, asked: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which all this was sent, and whose answers wait in the API, since little fits into the system's buffers."""
    server = service.client.server
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (server.host, server.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=_BUFFER_BYTES)

    async def taken() -> list[asyncio.Transport]:
        name = connection.getsockname()
        return [each.transport for each in server.handler.connections if each.transport and each.peername == name]

    (transport,) = await eventually(taken)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    writer.write(asked)

    async def waits() -> bool:
        return transport.get_write_buffer_size() > 0

    await eventually(waits)
    try:
        yield reader
    finally:
        writer.transport.abort()


def _asked(service: Service, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {service.headers['Authorization']}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _large_draft(name: str) -> bytes:
    """Above a mebibyte, as its answer is."""
    variables = {"variableValues": {"text": "x" * 20_000}}
    return orjson.dumps(draft([{"number": f"+1415555{n:04d}", "assistantOverrides": variables} for n in range(60)], name=name))


def _unsent(service: Service) -> list[int]:
    """Bytes that wait in the API's memory, for each connection that takes none at the moment."""
    connections = service.client.server.handler.connections
    return [each.transport.get_write_buffer_size() for each in connections if each.transport is not None and each.writing_paused]


async def test_pipelined_reads_wait_until_the_answers_before_them_are_read(service: Service) -> None:
    variables = {"variableValues": {"text": "x" * 200_000}}
    campaign = await service.create(path="/v2/campaign", assistantOverrides=variables)
    answers = 20
    async with _not_reading(service, _asked(service, "GET", f"/v2/campaign/{campaign['id']}") * answers) as reader:
        for _ in range(answers):
            # others are answered meanwhile, and each of them gives the one that does not read its turn
            await service.answer("GET", "/campaign?limit=1")
        assert [size < 400_000 for size in _unsent(service)] == [True]
        for _ in range(answers):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert length > 200_000
            await reader.readexactly(length)


async def test_no_room_for_large_bodies_and_none_of_their_memory_is_held_by_answers_that_are_not_read(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts: list[weakref.ref[CampaignDraft]] = []

    def plan(asked: Asked, draft: CampaignDraft) -> Plan:
        drafts.append(weakref.ref(draft))
        return plan_creation(asked, draft)

    monkeypatch.setattr(campaign_writes, "plan_creation", plan)
    async with AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(_not_reading(service, _asked(service, "POST", "/campaign", _large_draft(f"Stalled {number}"))))
        async with asyncio.timeout(10):
            await service.answer("POST", "/campaign", status=201, data=io.BytesIO(_large_draft("Third")), headers=JSON)
        gc.collect()
        assert [kept() for kept in drafts] == [None] * 3


async def test_an_equal_request_is_a_new_one_when_a_repeat_was_answered_though_the_first_never_reads(service: Service) -> None:
    body = _large_draft("Spring")
    async with _not_reading(service, _asked(service, "POST", "/campaign", body)):
        repeat = await service.answer("POST", "/campaign", status=201, data=io.BytesIO(body), headers=JSON)
        assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1
        assert (await service.answer("POST", "/campaign", status=201, data=io.BytesIO(body), headers=JSON))["id"] != repeat["id"]
