"""The simulated provider over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from events.commands import ReportCall
from services.runtime.clock import SystemClock
from services.simulator.app import Simulator
from services.simulator.network import Network
from tests.support.eventually import eventually

KEY = {"Authorization": "Bearer any"}
FAST = Network(time_scale=2_000, answer_share=1, voicemail_share=0, busy_share=0, no_answer_share=0, failure_share=0, forward_rate=0)
Client = TestClient[web.Request, web.Application]
Start = Callable[[Network], Awaitable[Client]]


class Receiver:
    """Takes callbacks; answers with `status`."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200

    async def receive(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.messages.append((await request.json())["message"])
        return web.Response(status=self.status)

    def told(self) -> list[str]:
        return [message.get("status", message["type"]) for message in self.messages]


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start(exits: AsyncExitStack) -> Start:
    async def start(network: Network) -> Client:
        http = await exits.enter_async_context(aiohttp.ClientSession())
        simulator = Simulator(network, SystemClock(), http)
        running = asyncio.create_task(simulator.run())
        exits.push_async_callback(_cancelled, running)
        return await exits.enter_async_context(TestClient(TestServer(simulator.app())))

    return start


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def receiver(exits: AsyncExitStack) -> tuple[Receiver, str]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/back", receiver.receive)
    server = await exits.enter_async_context(TestServer(app))
    return receiver, str(server.make_url("/back"))


def call(call_id: str = "c1", url: str | None = None, org: str = "acme") -> dict[str, Any]:
    overrides: dict[str, Any] = {"metadata": {"orgId": org, "callId": call_id, "attempt": 1}}
    if url is not None:
        overrides["server"] = {"url": url}
    return {"assistantId": "a", "phoneNumberId": "p", "customer": {"number": "+15550000001"}, "assistantOverrides": overrides}


async def get(client: Client, path: str) -> Any:
    async with client.get(path) as response:
        assert response.status == 200
        return await response.json()


async def test_a_call_is_taken_calls_back_in_order_and_reports(start: Start, receiver: tuple[Receiver, str]) -> None:
    heard, url = receiver
    client = await start(FAST)
    async with client.post("/call", json=call(url=url), headers=KEY) as response:
        assert response.status == 201
        placed = await response.json()
    assert placed["status"] == "queued"
    told = await eventually(lambda: asyncio.sleep(0, heard.told()), lambda told: len(told) == 4)
    assert told == ["ringing", "in-progress", "ended", "end-of-call-report"]
    report = heard.messages[-1]
    assert {message["call"]["id"] for message in heard.messages} == {placed["id"]}
    ReportCall.model_validate(
        {"attempt": 1, "status": "ended", "final": True}
        | {k: report[k] for k in ("endedReason", "startedAt", "endedAt", "cost", "analysis")}
    )
    shown = await get(client, f"/call/{placed['id']}")
    assert (shown["status"], shown["endedReason"]) == ("ended", report["endedReason"])


async def test_posts_are_counted_by_our_call_and_attempt_and_doubles_show(start: Start) -> None:
    client = await start(FAST)
    for call_id in ("c1", "c2", "c2"):
        await client.post("/call", json=call(call_id), headers=KEY)
    stats = await get(client, "/stats")
    assert (stats["posts"], stats["doubledPosts"], stats["doubledCalls"]) == (3, 1, ["c2"])
    assert stats["calls"] == {"c1": {"1": 1}, "c2": {"1": 2}}


async def test_concurrency_is_counted_overall_and_by_org(start: Start) -> None:
    client = await start(FAST.changed({"time_scale": 100}))
    for call_id, org in (("c1", "acme"), ("c2", "acme"), ("c3", "globex")):
        await client.post("/call", json=call(call_id, org=org), headers=KEY)
    stats = await eventually(lambda: get(client, "/stats"), lambda stats: stats["concurrent"]["now"] == 0)
    assert stats["concurrent"]["max"] == 3
    assert stats["concurrentByOrg"] == {"acme": {"now": 0, "max": 2}, "globex": {"now": 0, "max": 1}}


async def test_a_call_is_found_by_our_id(start: Start) -> None:
    client = await start(FAST)
    placed = await (await client.post("/call", json=call("c1"), headers=KEY)).json()
    assert [found["id"] for found in await get(client, "/call?metadataCallId=c1&attempt=1")] == [placed["id"]]
    assert await get(client, "/call?metadataCallId=c1&attempt=2") == []


async def test_a_callback_is_tried_again_until_the_receiver_is_back(start: Start, receiver: tuple[Receiver, str]) -> None:
    heard, url = receiver
    heard.status = 503
    client = await start(FAST.changed({"callback_retry_real_seconds": 0.01, "callback_tries": 100}))
    await client.post("/call", json=call(url=url), headers=KEY)
    await eventually(lambda: get(client, "/stats"), lambda stats: stats["callbacks"].get("retried", 0) >= 3)
    heard.status = 200
    told = await eventually(lambda: asyncio.sleep(0, heard.told()), lambda told: len(told) == 4)
    assert told == ["ringing", "in-progress", "ended", "end-of-call-report"]


async def test_a_callback_that_nobody_takes_is_given_up(start: Start) -> None:
    client = await start(FAST.changed({"callback_retry_real_seconds": 0.001, "callback_tries": 2}))
    await client.post("/call", json=call(url="http://127.0.0.1:1/"), headers=KEY)
    stats = await eventually(lambda: get(client, "/stats"), lambda stats: stats["callbacks"].get("givenUp") == 4)
    assert "delivered" not in stats["callbacks"]


async def test_a_dropped_answer_still_places_the_call(start: Start) -> None:
    client = await start(FAST.changed({"drop_answer_rate": 1}))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/call", json=call(), headers=KEY)
    assert len(await get(client, "/call?metadataCallId=c1&attempt=1")) == 1


@pytest.mark.parametrize(("settings", "status"), [({"refuse_rate": 1}, 400), ({"fail_rate": 1}, 503)])
async def test_what_is_refused_is_not_placed(start: Start, settings: dict[str, Any], status: int) -> None:
    client = await start(FAST.changed(settings))
    async with client.post("/call", json=call(), headers=KEY) as response:
        assert response.status == status
    assert (await get(client, "/stats"))["concurrent"]["max"] == 0


async def test_requests_that_no_provider_takes_are_refused(start: Start) -> None:
    client = await start(FAST)
    assert (await client.post("/call", json=call())).status == 401
    for wrong in (call() | {"squadId": "s"}, call() | {"customer": {}}, {k: v for k, v in call().items() if k != "phoneNumberId"}, [1]):
        assert (await client.post("/call", json=wrong, headers=KEY)).status == 400
    assert (await client.post("/call", data=b"{", headers=KEY)).status == 400
    assert (await client.get("/call/none")).status == 404


async def test_settings_change_at_run_time_for_new_calls(start: Start) -> None:
    client = await start(FAST)
    async with client.put("/settings", json={"busy_share": 1, "answer_share": 0}) as response:
        assert response.status == 200
    assert (await get(client, "/settings"))["busy_share"] == 1
    placed = await (await client.post("/call", json=call(), headers=KEY)).json()
    ended = await eventually(lambda: get(client, f"/call/{placed['id']}"), lambda shown: shown["status"] == "ended")
    assert ended["endedReason"] == "customer-busy"
    assert (await client.put("/settings", json={"lose_rate": 7})).status == 400
