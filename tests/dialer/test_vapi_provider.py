"""What is Vapi's own in the adapter to it; the simulator plays the provider, or a server that answers as it is told."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.kafka.broker import free_port
from services.dialer.provider import LookupFailedError, PlaceCall, Placed, Refused, Unknown
from services.dialer.vapi_provider import VapiCompatibleProvider, request_body
from services.runtime.clock import SystemClock
from services.simulator.app import Simulator
from services.simulator.network import Network
from tests.dialer.given import CAMPAIGN, call_id, task

CALL = PlaceCall(task(), 1, "http://127.0.0.1:1/back")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Simulate = Callable[..., Awaitable[tuple[VapiCompatibleProvider, Simulator]]]
Scripted = Callable[[Handler], Awaitable[VapiCompatibleProvider]]


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def http(exits: AsyncExitStack) -> aiohttp.ClientSession:
    return await exits.enter_async_context(aiohttp.ClientSession())


def adapter(http: aiohttp.ClientSession, url: str, timeout_seconds: float = 5) -> VapiCompatibleProvider:
    return VapiCompatibleProvider(http, url, "key", name="vapi", can_find=True, timeout_seconds=timeout_seconds, connect_seconds=2)


@pytest.fixture
def simulate(exits: AsyncExitStack, http: aiohttp.ClientSession) -> Simulate:
    async def simulate(**changes: Any) -> tuple[VapiCompatibleProvider, Simulator]:
        simulator = Simulator(Network(time_scale=1, callback_tries=1).changed(changes), SystemClock(), http)
        server = await exits.enter_async_context(TestServer(simulator.app()))
        return adapter(http, str(server.make_url("/"))), simulator

    return simulate


@pytest.fixture
def scripted(exits: AsyncExitStack, http: aiohttp.ClientSession) -> Scripted:
    """A provider that answers as the handler says, within half a second."""

    async def scripted(handler: Handler) -> VapiCompatibleProvider:
        app = web.Application()
        app.router.add_route("*", "/call", handler)
        server = await exits.enter_async_context(TestServer(app))
        return adapter(http, str(server.make_url("")), timeout_seconds=0.5)

    return scripted


async def test_a_call_is_placed_and_found_by_our_id(simulate: Simulate) -> None:
    provider, simulator = await simulate()
    answer = await provider.place(CALL)
    assert isinstance(answer, Placed)
    found = await provider.find(call_id(), 1)
    assert found is not None
    assert (found.provider_call_id, found.status) == (answer.provider_call_id, "queued")
    assert simulator.calls.stats(with_calls=True)["calls"] == {call_id(): {"1": 1}}


async def test_a_call_that_the_provider_does_not_have_is_not_found(simulate: Simulate) -> None:
    provider, _ = await simulate()
    await provider.place(CALL)
    assert await provider.find(call_id(), 2) is None


async def test_a_call_that_ended_is_found_with_its_report(simulate: Simulate) -> None:
    provider, _ = await simulate(time_scale=1_000_000)
    await provider.place(CALL)
    found = await provider.find(call_id(), 1)
    assert found is not None
    assert found.status == "ended"
    assert found.report.keys() >= {"endedReason", "endedAt", "cost", "analysis"}


async def test_a_refused_call_is_refused_and_not_placed(simulate: Simulate) -> None:
    provider, _ = await simulate(refuse_rate=1)
    assert await provider.place(CALL) == Refused("call.start.error-provider-refused", "the provider answered 400")
    assert await provider.find(call_id(), 1) is None


async def test_an_answer_that_is_lost_leaves_the_call_unknown_and_is_not_asked_again(simulate: Simulate) -> None:
    provider, simulator = await simulate(drop_answer_rate=1)
    assert isinstance(await provider.place(CALL), Unknown)
    assert await provider.find(call_id(), 1) is not None
    assert simulator.calls.posts.total() == 1


async def test_where_nobody_listens_a_lookup_has_failed(http: aiohttp.ClientSession) -> None:
    with pytest.raises(LookupFailedError):
        await adapter(http, f"http://127.0.0.1:{free_port()}").find(call_id(), 1)


async def test_the_key_our_ids_and_the_callback_url_go_with_the_call(scripted: Scripted) -> None:
    seen: dict[str, Any] = {}

    async def take(request: web.Request) -> web.Response:
        seen.update(key=request.headers["Authorization"], body=await request.json())
        return web.json_response({"id": "p-1"}, status=201)

    assert await (await scripted(take)).place(CALL) == Placed("p-1")
    assert seen["key"] == "Bearer key"
    assert seen["body"] == {
        "assistantId": "assistant-1",
        "phoneNumberId": "phone-1",
        "customer": {"number": "+15550000000"},
        "assistantOverrides": {
            "server": {"url": "http://127.0.0.1:1/back"},
            "metadata": {"orgId": "acme", "campaignId": CAMPAIGN, "callId": call_id(), "attempt": 1},
            "serverMessages": ["status-update", "end-of-call-report"],
        },
    }


@pytest.mark.parametrize("content", [b"{", b"[1]", b'[{"status":"ended"}]', b'[{"id":"p","status":"ended","cost":-1}]'])
async def test_a_lookup_that_can_not_be_read_has_failed(scripted: Scripted, content: bytes) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=content)

    with pytest.raises(LookupFailedError):
        await (await scripted(respond)).find(call_id(), 1)


def test_the_customers_overrides_lie_over_the_campaigns_and_ours_over_both() -> None:
    dialed = task(
        assistant_overrides={
            "variableValues": {"a": 1, "b": {"x": 1}},
            "server": {"url": "http://user/", "secret": "s"},
            "metadata": {"theirs": 1},
        },
        customer={"number": "+15550000000", "name": "A", "assistantOverrides": {"variableValues": {"b": {"y": 2}}}},
    )
    body = request_body(PlaceCall(dialed, 1, "http://back/"))
    assert body["customer"] == {"number": "+15550000000", "name": "A"}
    assert body["assistantOverrides"]["variableValues"] == {"a": 1, "b": {"x": 1, "y": 2}}
    assert body["assistantOverrides"]["server"] == {"url": "http://back/"}
    assert body["assistantOverrides"]["metadata"]["theirs"] == 1


def test_a_squad_is_called_back_about_through_its_own_overrides() -> None:
    body = request_body(PlaceCall(task(target_field="squadId", squad_overrides={"variableValues": {"a": 1}}), 1, "http://back/"))
    assert body["squadOverrides"]["server"] == {"url": "http://back/"}
    assert body["squadOverrides"]["variableValues"] == {"a": 1}
    assert "assistantOverrides" not in body
