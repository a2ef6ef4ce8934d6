"""Large bodies wait for room, and who finds none is told to come again (README, "Limits, honestly")."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import orjson
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from services.api.bodies import LARGE_BODY_BYTES, BodyReader
from services.runtime.callback_urls import callback_url
from tests.api.service import CALLBACK_KEY, Service, draft, running_service
from tests.support.eventually import eventually

JSON = {"Content-Type": "application/json"}
_LARGE = b" " * (LARGE_BODY_BYTES + 1)


@asynccontextmanager
async def _coming_slowly(service: Service) -> AsyncIterator[None]:
    """A large body that has a room and of which no more comes."""
    server = service.client.server
    _, writer = await asyncio.open_connection(server.host, server.port)
    head = f"POST /campaign HTTP/1.1\r\nHost: x\r\nAuthorization: {service.headers['Authorization']}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {2 * len(_LARGE)}\r\n\r\n".encode() + _LARGE)
    try:
        yield
    finally:
        writer.transport.abort()


async def test_without_room_a_body_is_503_and_a_providers_callback_is_taken(tmp_path: Path) -> None:
    async with running_service(tmp_path, room_seconds=0.05) as service, AsyncExitStack() as stack:
        campaign = await service.create(customers=1, schedulePlan=...)
        body = orjson.dumps(draft()) + _LARGE
        for _ in range(2):
            await stack.enter_async_context(_coming_slowly(service))

        async def asked() -> tuple[int, str | None, bytes]:
            response = await service.ask("POST", "/campaign", data=io.BytesIO(body), headers=JSON)
            return response.status, response.headers.get("Retry-After"), await response.read()

        status, retry_after, answer = await eventually(asked, lambda answer: answer[0] != 201)
        assert (status, retry_after) == (503, "1")
        assert orjson.loads(answer)["message"] == "too many large bodies are in memory; nothing was accepted"
        path = callback_url("", CALLBACK_KEY, "org-1", campaign["id"], next(iter(campaign["calls"])), 1)
        told = orjson.dumps({"message": {"call": {"id": "p-7"}, "type": "status-update", "status": "ringing"}}) + _LARGE
        async with asyncio.timeout(10):
            assert (await service.client.post(path, data=io.BytesIO(told), headers=JSON)).status == 200


def _request(body: bytes) -> web.Request:
    payload = StreamReader(Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
    payload.feed_data(body)
    payload.feed_eof()
    return make_mocked_request("POST", "/", payload=payload)


async def test_the_wait_for_room_is_not_counted_as_the_clients_time() -> None:
    reader = BodyReader(1, read_seconds=0.05)

    async def read() -> int:
        async with reader.read(_request(_LARGE)) as body:
            return len(body)

    async with reader.read(_request(_LARGE)):
        waiting = asyncio.create_task(read())
        done, _ = await asyncio.wait([waiting], timeout=0.15)
        assert not done
    assert await waiting == len(_LARGE)
