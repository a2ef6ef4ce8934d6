"""The dialer on real Kafka, a real read model and a provider over HTTP: in this process, and as processes that are stopped and killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from events.commands import ReportCall
from infra.kafka.broker import Broker
from infra.stack.child import Child
from infra.stack.plan import children_of
from services.dialer.bootstrap import run_dialer
from services.dialer.settings import DialerSettings
from services.runtime.callback_urls import verify_twilio
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings
from services.simulator.app import Simulator
from services.simulator.network import Network
from tests.dialer.engine_by_hand import EngineByHand, engine_by_hand
from tests.dialer.fake_providers import ACCOUNT, ADAPTERS, SID, FakeProvider
from tests.dialer.given import begun
from tests.support.eventually import eventually


class Provider:
    """The simulator behind a gate: while the gate is closed a request is counted and its answer waits."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.url = ""
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @web.middleware
    async def wait_at_the_gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked += request.method == "POST"
        await self.gate.wait()
        response: web.StreamResponse = await handler(request)
        return response

    async def stats(self) -> dict[str, Any]:
        return self.simulator.calls.stats(with_calls=True)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        provider = Provider(Simulator(Network(time_scale=1, callback_tries=1), SystemClock(), http))
        app = provider.simulator.app()
        app.middlewares.append(provider.wait_at_the_gate)
        server = await stack.enter_async_context(TestServer(app))
        provider.url = str(server.make_url("/"))
        yield provider
        provider.gate.set()


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[EngineByHand]:
    async with engine_by_hand(settings) as engine:
        yield engine


@asynccontextmanager
async def running(settings: Settings, provider: Provider, port: int | None = None, **more: Any) -> AsyncIterator[None]:
    """A dialer in this process, ready."""
    changes = {"provider_url": provider.url, "dialer_port": port or settings.dialer_port, **more}
    own = DialerSettings(**settings.model_dump() | changes)
    stop = asyncio.Event()
    dialer = asyncio.create_task(run_dialer(own, SystemClock(), stop))
    try:
        async with aiohttp.ClientSession() as http:
            await eventually(lambda: is_ready(http, own.dialer_port))
        yield
    finally:
        stop.set()
        await asyncio.wait_for(dialer, 20)


async def is_ready(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def process(settings: Settings, provider: Provider) -> AsyncIterator[Child]:
    """A dialer as a process of its own, ready; killed at the end where it still runs."""
    child = children_of(settings, PROVIDER_URL=provider.url)["dialer"]
    try:
        await started(child)
        yield child
    finally:
        child.kill()


async def started(child: Child) -> None:
    child.start()
    async with aiohttp.ClientSession() as http:
        await eventually(lambda: child.not_ready(http), lambda lack: lack is None)


async def test_a_queued_call_is_claimed_and_once_granted_placed_once(settings: Settings, engine: EngineByHand, provider: Provider) -> None:
    await engine.create(2)
    async with running(settings, provider):
        await engine.queue(0, 1)
        claims = await engine.claims_sent(2)
        assert (await provider.stats())["posts"] == 0
        await engine.grant(claims[0])
        (outcome,) = await engine.outcomes_said(1)
        assert (outcome.outcome, outcome.claim_id) == ("placed", claims[0].id)
        assert (await provider.stats())["calls"] == {claims[0].call_id: {"1": 1}}


async def test_a_call_is_claimed_only_when_the_read_model_has_passed_its_event(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    async with running(settings, provider):
        await engine.queue(0)
        await engine.claims_sent(1)
        engine.holds_the_read_model_back = True
        await engine.queue(1)
        await asyncio.sleep(0.3)
        assert len(engine.claims()) == 1
        await engine.let_the_read_model_catch_up()
        assert (await engine.claims_sent(2))[1].call_id != engine.claims()[0].call_id


async def test_what_was_claimed_is_not_claimed_again_after_a_clean_stop(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(3)
    async with running(settings, provider):
        with begun(engine.grants_all()):
            await engine.queue(0, 1)
            await engine.outcomes_said(2)
    async with running(settings, provider):
        await engine.queue(2)
        claims = await engine.claims_sent(3)
        await asyncio.sleep(0.2)
        assert len({claim.call_id for claim in claims}) == len(engine.claims()) == 3


async def test_a_claim_is_acted_upon_by_its_claimant_whoever_owns_the_partition_by_then(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(1)
    async with running(settings, provider), running(settings, provider, port=settings.projector_port):
        await engine.queue(0)
        (claim,) = await engine.claims_sent(1)
        async with running(settings, provider, port=settings.engine_port):
            await engine.grant(claim)
            assert [outcome.outcome for outcome in await engine.outcomes_said(1)] == ["placed"]
    assert (await provider.stats())["posts"] == 1


async def test_an_unknown_outcome_is_resolved_by_a_lookup(settings: Settings, engine: EngineByHand, provider: Provider) -> None:
    provider.simulator.network = provider.simulator.network.changed({"drop_answer_rate": 1, "time_scale": 50})
    await engine.create(1)
    async with running(settings, provider):
        await engine.queue(0)
        await engine.grant((await engine.claims_sent(1))[0])
        assert [outcome.outcome for outcome in await engine.outcomes_said(1)] == ["unknown"]
        await engine.unknown(0)
        reports = await eventually(lambda: reports_of(engine))
        assert reports[0].provider_call_id is not None
    assert (await provider.stats())["posts"] == 1


@pytest.fixture
async def twilio() -> AsyncIterator[tuple[FakeProvider, str]]:
    fake = FakeProvider(ADAPTERS["twilio"][1], "taken")
    async with TestServer(fake.app()) as server:
        yield fake, str(server.make_url(""))


def with_twilio(url: str) -> dict[str, Any]:
    """Calls from the phone number `p` go to Twilio, all others to the provider that is there anyway."""
    config = {"kind": "twilio", "accountSid": ACCOUNT, "authToken": "12345", "url": "https://app.example.com/voice", "apiUrl": url}
    rule = {"phoneNumberId": "p", "provider": "twilio-us"}
    choice = {"providers": {"twilio-us": config | {"callers": {"p": "+14155550100"}}}, "rules": [rule]}
    return {"providers": json.dumps(choice), "callback_base_url": "https://calls.example.com", "provider_timeout_seconds": 1}


async def test_a_call_is_placed_at_the_provider_of_its_phone_number_which_reports_to_a_url_that_verifies(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    await engine.create(1)
    async with running(settings, provider, **with_twilio(url)):
        await engine.queue(0)
        (claim,) = await engine.claims_sent(1)
        assert claim.data.to_wire()["provider"] == "twilio-us"
        await engine.grant(claim)
        (outcome,) = await engine.outcomes_said(1)
    assert (outcome.outcome, outcome.provider, outcome.provider_call_id) == ("placed", "twilio-us", SID)
    path = urlsplit(dict(fake.forms[0])["StatusCallback"]).path
    told_provider, org, campaign, call, attempt, mac = path.removeprefix("/provider-callbacks/twilio/").split("/")
    assert (told_provider, call, attempt) == ("twilio-us", claim.call_id, "1")
    assert verify_twilio(settings.callback_key(), told_provider, org, campaign, call, attempt, mac)
    assert (len(fake.posts), provider.asked) == (1, 0)


async def test_a_call_that_twilio_leaves_without_an_answer_is_unknown_and_neither_placed_again_nor_looked_up_elsewhere(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    fake.answer = "hangs"
    await engine.create(2)
    async with running(settings, provider, **with_twilio(url)):
        await engine.queue(0)
        await engine.grant((await engine.claims_sent(1))[0])
        assert [outcome.outcome for outcome in await engine.outcomes_said(1)] == ["unknown"]
        await engine.unknown(0, "twilio-us")
        fake.answer = "taken"
        await engine.queue(1)
        await engine.grant((await engine.claims_sent(2))[1])
        assert [outcome.outcome for outcome in await engine.outcomes_said(2)] == ["unknown", "placed"]
    assert await reports_of(engine) == []
    assert (len(fake.posts), provider.asked) == (2, 0)


async def test_too_many_calls_wait_and_all_are_placed_once_under_their_first_attempt(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    fake.answer, fake.headers = (429, {"code": 20429, "status": 429}), {"Retry-After": "1"}
    await engine.create(3)
    async with running(settings, provider, **with_twilio(url)):
        with begun(engine.grants_all()):
            await engine.queue(0, 1, 2)
            await eventually(lambda: asyncio.sleep(0, fake.posts))
            fake.answer = "taken"
            await eventually(lambda: asyncio.sleep(0, engine.placed()), lambda placed: len(placed) == 3)
    assert max(engine.placed().values()) == 1
    assert {claim.data.to_wire()["attempt"] for claim in engine.claims()} == {1}
    refused = sum(outcome.error == "the provider answered 429" for outcome in engine.outcomes())
    assert len(fake.posts) == 3 + refused


async def reports_of(engine: EngineByHand) -> list[ReportCall]:
    return [command.data for command in engine.commands if isinstance(command.data, ReportCall)]


async def test_sigterm_waits_for_the_request_under_way_and_gives_the_other_claims_back(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    provider.gate.clear()
    async with process(settings, provider) as child:
        await engine.queue(0, 1)
        claims = await engine.claims_sent(2)
        await engine.grant(claims[0])
        await eventually(lambda: asyncio.sleep(0, provider.asked))
        stopping = asyncio.create_task(child.stop())
        assert [(said.outcome, said.claim_id) for said in await engine.outcomes_said(1)] == [("not-placed", claims[1].id)]
        provider.gate.set()
        assert await stopping
        assert child.exit_code == 0
        assert [said.outcome for said in await engine.outcomes_said(2)] == ["not-placed", "placed"]
    assert (await provider.stats())["posts"] == 1


async def test_a_claim_granted_after_its_claimant_was_killed_is_acted_upon_by_nobody(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    async with process(settings, provider) as child:
        await engine.queue(0)
        (claim,) = await engine.claims_sent(1)
        child.kill()
        await started(child)
        await engine.grant(claim)
        await engine.queue(1)
        while len({claim.call_id for claim in engine.claims()}) < 2:
            await engine.claims_sent(len(engine.claims()) + 1)
        assert (await provider.stats())["posts"] == 0


async def test_a_dialer_killed_while_it_waits_for_the_provider_never_asks_twice(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    await engine.create(2)
    provider.gate.clear()
    async with process(settings, provider) as child:
        with begun(engine.grants_all()):
            await engine.queue(0)
            await eventually(lambda: asyncio.sleep(0, provider.asked))
            child.kill()
            provider.gate.set()
            await started(child)
            await engine.queue(1)
            await engine.outcomes_said(1)
    assert provider.asked == 2
    assert (await provider.stats())["doubledPosts"] == 0


async def test_while_kafka_is_away_an_outcome_waits_and_is_said_when_it_is_back(
    settings: Settings, own_broker: Broker, provider: Provider
) -> None:
    own = settings.model_copy(update={"kafka_bootstrap_servers": own_broker.bootstrap_servers})
    provider.gate.clear()
    async with engine_by_hand(own) as engine, process(own, provider) as child:
        await engine.create(2)
        await engine.queue(0)
        await engine.grant((await engine.claims_sent(1))[0])
        await eventually(lambda: asyncio.sleep(0, provider.asked))
        own_broker.kill()
        provider.gate.set()
        await eventually(provider.stats, lambda stats: stats["posts"] == 1)
        own_broker.start()
        assert [said.outcome for said in await engine.outcomes_said(1)] == ["placed"]
        await engine.queue(1)
        await engine.claims_sent(2)
        own_broker.kill()
        assert await child.stop()
        assert child.exit_code == 0


async def test_killed_under_load_it_goes_on_and_no_call_is_placed_twice(
    settings: Settings, engine: EngineByHand, provider: Provider
) -> None:
    calls = 100
    await engine.create(calls + 1)
    async with process(settings, provider) as child:
        with begun(engine.grants_all()), begun(engine.queue(*range(calls))) as queueing:
            for some in (15, 45):
                await engine.outcomes_said(some)
                child.kill()
                await started(child)
            await queueing
            await engine.queue(calls)
            await eventually(lambda: asyncio.sleep(0, len(engine.granted)), lambda granted: granted == calls + 1, 40)
            last_life = str(engine.claims_of(calls)[0].data.to_wire()["claimant"])
            await eventually(lambda: every_grant_has_an_outcome(engine, last_life), seconds=40)
    stats = await provider.stats()
    assert stats["doubledPosts"] == 0
    assert max(engine.placed().values()) == 1
    assert len(engine.placed()) <= stats["posts"] <= calls + 1


async def every_grant_has_an_outcome(engine: EngineByHand, claimant: str) -> bool:
    granted = set(engine.granted.values())
    own = {claim.id for claim in engine.claims() if claim.data.to_wire()["claimant"] == claimant and claim.id in granted}
    return own <= {outcome.claim_id for outcome in engine.outcomes()}
