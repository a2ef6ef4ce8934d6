"""What is Vapi's own in the adapter to it; the simulator plays the provider, or a server that answers as it is told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.dialer.decisions import found_report
from services.dialer.provider import FoundCall, LookupFailedError, PlaceCall, Placed, Refused, Unknown
from services.dialer.vapi_provider import VapiCompatibleProvider, request_body
from services.runtime.clock import SystemClock
from services.simulator.app import Simulator
from services.simulator.network import Network
from tests.dialer.given import CAMPAIGN, call_id, task
from tests.support.ports import free_port

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


def shown(**fields: Any) -> dict[str, Any]:
    """Our call as a provider shows it."""
    return {"id": "p-1", "status": "ended", "metadata": {"callId": call_id(), "attempt": 1}, **fields}


def answers(content: Any) -> Handler:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=content if isinstance(content, bytes) else orjson.dumps(content))

    return respond


@pytest.mark.parametrize("content", [b"{", b"[1]", b"{}", b"null", b"[" * 5_000])
async def test_a_lookup_that_can_not_be_read_has_failed(scripted: Scripted, content: bytes) -> None:
    with pytest.raises(LookupFailedError):
        await (await scripted(answers(content))).find(call_id(), 1)


async def test_a_lookup_is_read_no_further_than_is_bearable(scripted: Scripted) -> None:
    with pytest.raises(LookupFailedError, match="can not be read"):
        await (await scripted(answers([shown(analysis={"summary": "x" * 9_000_000})]))).find(call_id(), 1)


async def test_what_is_broken_in_a_call_that_is_found_is_left_out_and_its_end_is_kept(scripted: Scripted) -> None:
    deep = orjson.loads(b'{"a":' * 600 + b"1" + b"}" * 600)
    whole = shown(endedReason="voicemail", endedAt="2030-01-01T09:00:00Z", cost=0.25, analysis={"summary": "fine"})
    ended = {"endedReason": "voicemail", "endedAt": datetime(2030, 1, 1, 9, tzinfo=UTC), "cost": 0.25, "analysis": {"summary": "fine"}}
    broken = {"cost": "0.1", "startedAt": "2030-01-01T09:00:00", "endedReason": "", "analysis": deep, "endedAt": True}
    for changes in ({}, *({name: value} for name, value in broken.items())):
        # orjson writes no more than 254 levels
        content = json.dumps([whole | changes]).encode()
        found = await (await scripted(answers(content))).find(call_id(), 1)
        assert found == FoundCall("p-1", "ended", {name: value for name, value in ended.items() if name not in changes})
        assert found_report("id", "acme", CAMPAIGN, call_id(), 1, "vapi", found) is not None


async def test_a_reason_that_is_too_long_is_cut_and_an_id_or_a_status_of_no_known_kind_does_no_harm(scripted: Scripted) -> None:
    found = await (await scripted(answers([shown(endedReason="x" * 300, id=7)]))).find(call_id(), 1)
    assert found == FoundCall(None, "ended", {"endedReason": "x" * 200})
    statuses: list[Any] = [[], "scheduled", None]
    for status in statuses:
        found = await (await scripted(answers([shown(status=status)]))).find(call_id(), 1)
        assert found == FoundCall("p-1", "queued", {})


@pytest.mark.parametrize(
    "metadata",
    [{}, {"callId": call_id(1), "attempt": 1}, {"callId": call_id(), "attempt": 2}, {"callId": call_id()}, {"attempt": 1}, None, "x"],
)
async def test_another_call_is_never_taken_for_ours_nor_for_the_absence_of_ours(scripted: Scripted, metadata: Any) -> None:
    with pytest.raises(LookupFailedError):
        await (await scripted(answers([shown(metadata=metadata)]))).find(call_id(), 1)


async def test_our_call_is_found_among_others_wherever_its_metadata_stand(scripted: Scripted) -> None:
    other, ids = shown(id="p-0", metadata={"callId": call_id(1), "attempt": 1}), {"callId": call_id(), "attempt": "1"}
    for placed in ({"metadata": ids}, {"assistantOverrides": {"metadata": ids}}, {"squadOverrides": {"metadata": ids}}):
        found = await (await scripted(answers([other, {"id": "p-1", "status": "ringing", **placed}]))).find(call_id(), 1)
        assert found == FoundCall("p-1", "ringing", {})


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
