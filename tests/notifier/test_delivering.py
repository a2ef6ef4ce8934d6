"""Deliveries to real servers that count: signed, bounded, tried again, given up, and none held up by another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from projections.store.engine import open_database
from services.notifier import in_flight, outbox
from services.notifier.delivering import Deliverer
from services.notifier.in_flight import Bounds
from services.notifier.intake import Intake
from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import Outbox
from services.notifier.own_store import metadata
from services.notifier.sending import HttpWebhooks
from services.runtime.clock import SystemClock
from services.runtime.own_store import ensure_tables
from services.runtime.url_guard import AllowedHosts, guarded_session
from services.runtime.webhook_signing import org_secret
from tests.notifier.given import event, ready
from tests.notifier.receiver import Receiver, receiving, signature_by_openssl
from tests.support.eventually import eventually
from tests.support.ports import free_port

SECRET = org_secret(b"master", "acme")


@dataclass(slots=True)
class Running:
    """A deliverer on a store of its own."""

    intake: Intake
    outbox: Outbox
    deliverer: Deliverer
    _next: dict[str, int] = field(default_factory=lambda: {"offset": 0, "campaign": 1})

    async def tell(self, receiver: Receiver | str, contacts: int = 1, **server: Any) -> None:
        """A new campaign that dispatches so many contacts and wants that told."""
        url = receiver if isinstance(receiver, str) else receiver.url
        campaign = f"00000000-0000-0000-0000-{self._next['campaign']:012d}"
        self._next["campaign"] += 1
        calls = [event("CallQueued", number, campaign=campaign, attempt=1) for number in range(contacts)]
        for call in calls:
            call["callid"] = f"{campaign}/{call['callid']}"
        facts = [*ready(server={"url": url} | server, campaign=campaign), *calls]
        offset = self._next["offset"]
        await self.intake.take_in(0, offset, offset + len(facts), facts, SystemClock().now())
        self._next["offset"] += len(facts)
        self.deliverer.wake()

    async def dead_errors(self) -> list[str]:
        return [row["last_error"] for row in await self.outbox.dead()]

    async def is_empty(self) -> bool:
        return not await self.outbox.lanes(0)


@asynccontextmanager
async def delivering(directory: Path, allowed: str = "127.0.0.1", **bounds: Any) -> AsyncIterator[Running]:
    async with AsyncExitStack() as exits:
        database = open_database(f"sqlite:///{directory / 'notifier.sqlite'}")
        exits.push_async_callback(database.dispose)
        await ensure_tables(database, metadata)
        http = await exits.enter_async_context(guarded_session(AllowedHosts.parse(allowed)))
        clock, outbox = SystemClock(), Outbox(database)
        webhooks = HttpWebhooks(http, clock, lambda org_id: org_secret(b"master", org_id))
        limits = Bounds(**{"in_flight": 100, "in_flight_per_org": 100, "in_flight_per_receiver": 8, "window_seconds": 3_600} | bounds)
        deliverer = Deliverer(outbox, webhooks, clock, limits, lambda: [0], NotifierMetrics(CollectorRegistry()))
        running = Running(Intake(database), outbox, deliverer)
        await running.intake.place(0, clock.now(), 1e9)
        task = asyncio.create_task(deliverer.run())
        try:
            yield running
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await deliverer.close(0.1)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with delivering(tmp_path) as running:
        yield running


def plan(retries: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "maxRetries": retries, "baseDelaySeconds": 0, **more}


async def told(receiver: Receiver, times: int) -> None:
    async def so_far() -> int:
        return len(receiver.told)

    await eventually(so_far, lambda seen: seen >= times)


async def test_a_message_is_signed_as_the_standard_says_and_sent_once(receiver: Receiver, running: Running) -> None:
    await running.tell(receiver, headers={"X-Token": "t", "Host": "inside.test", "webhook-id": "forged", "Content-Length": "1"})
    await eventually(running.is_empty)
    (request,) = receiver.told
    assert request.headers["webhook-signature"] == signature_by_openssl(SECRET, request)
    assert request.headers["X-Token"] == "t"
    assert request.headers["Host"] == receiver.host
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers.getall("webhook-id") == [request.id]
    assert request.sequence == 1
    assert request.message["eventType"] == "contact.dispatched"


async def test_what_fails_is_sent_again_under_the_same_id_with_a_fresh_timestamp(receiver: Receiver, running: Running) -> None:
    receiver.statuses = [500, 302, 503]
    await running.tell(receiver, backoffPlan=plan(3))
    await eventually(running.is_empty)
    assert list(receiver.times().values()) == [4]
    assert all(request.headers["webhook-signature"] == signature_by_openssl(SECRET, request) for request in receiver.told)


async def test_a_plan_that_is_used_up_or_a_status_that_is_excluded_makes_it_dead(receiver: Receiver, running: Running) -> None:
    receiver.status = 503
    await running.tell(receiver, backoffPlan=plan(1))
    await eventually(running.dead_errors)
    assert len(receiver.told) == 2
    await running.tell(receiver, backoffPlan=plan(9, excludedStatusCodes=[503]))
    assert await eventually(running.dead_errors, lambda errors: len(errors) == 2) == ["answered 503", "answered 503"]
    assert len(receiver.told) == 3


async def test_without_a_plan_a_failure_waits_and_does_not_make_it_dead(receiver: Receiver, running: Running) -> None:
    receiver.status = 500
    await running.tell(receiver)
    await told(receiver, 1)
    lanes = await eventually(lambda: running.outbox.lanes(0), lambda lanes: min(lanes.values()) > SystemClock().now().timestamp() + 2)
    assert len(lanes) == 1
    assert await running.dead_errors() == []


async def test_a_dead_message_is_sent_again_when_it_is_replayed(receiver: Receiver, running: Running) -> None:
    receiver.statuses = [500]
    await running.tell(receiver, backoffPlan=plan(0))
    await eventually(running.dead_errors)
    await running.outbox.replay(SystemClock().now().timestamp())
    await told(receiver, 2)
    assert len(receiver.times()) == 1
    await eventually(running.is_empty)


async def test_a_private_address_is_refused_and_the_message_dead(receiver: Receiver, tmp_path: Path) -> None:
    async with delivering(tmp_path, allowed="") as running:
        await running.tell(receiver)
        assert await eventually(running.dead_errors) == ["leads to an address that is not public"]
    assert receiver.told == []


@pytest.mark.parametrize("server", [{"headers": {"bad name": "x"}}, {"headers": {"X": "a\nb"}}, {"timeoutSeconds": "x"}])
async def test_a_server_that_can_not_be_asked_so_stops_nothing(receiver: Receiver, running: Running, server: dict[str, Any]) -> None:
    await running.tell(receiver, **({"backoffPlan": plan(0)} | server))
    assert len(await eventually(running.dead_errors)) == 1
    await running.tell(receiver)
    await told(receiver, 1)


async def test_a_server_that_is_away_or_too_slow_is_a_failure(receiver: Receiver, running: Running) -> None:
    receiver.gate.clear()
    await running.tell(receiver, timeoutSeconds=1, backoffPlan=plan(0))
    await running.tell(f"http://127.0.0.1:{free_port()}/", backoffPlan=plan(0))
    errors = await eventually(running.dead_errors, lambda errors: len(errors) == 2)
    assert sorted(errors)[1] == "no answer within 1 seconds"
    assert sorted(errors)[0].startswith("could not be sent: ")


async def test_a_2xx_takes_the_message_though_its_body_never_ends(running: Running) -> None:
    asked: list[str] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["webhook-id"])
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    app = web.Application()
    app.router.add_post("/", endless)
    async with TestServer(app, host="127.0.0.1") as server:
        await running.tell(str(server.make_url("/")), timeoutSeconds=1)
        await eventually(lambda: asyncio.sleep(0, asked))
        await eventually(running.is_empty)
        assert len(asked) == 1


async def test_a_slow_receiver_holds_up_nobody_else_and_is_asked_by_few_at_once(receiver: Receiver, running: Running) -> None:
    async with receiving() as slow:
        slow.gate.clear()
        await running.tell(slow, contacts=200)
        await told(slow, 8)
        await running.tell(receiver, contacts=100)
        await told(receiver, 100)
        assert len(receiver.times()) == 100
        assert len(slow.told) == 8
        slow.gate.set()
        await eventually(running.is_empty)
        assert (slow.most_at_once, len(slow.told), len(slow.times())) == (8, 200, 200)


async def test_a_receiver_that_fails_is_asked_by_one_at_a_time_until_it_takes_a_message(receiver: Receiver, running: Running) -> None:
    receiver.status = 500
    await running.tell(receiver, backoffPlan=plan(0))
    await eventually(running.dead_errors)
    receiver.gate.clear()
    await running.tell(receiver, contacts=20, backoffPlan=plan(0))
    await told(receiver, 2)
    await asyncio.sleep(0.1)
    assert receiver.at_once == 1
    receiver.status = 200
    receiver.gate.set()
    await told(receiver, 21)


async def test_receivers_beyond_those_that_are_kept_in_mind_get_every_message_too(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "_MOST_FAILING", 2)
    monkeypatch.setattr(outbox, "MOST_LANES", 2)
    async with AsyncExitStack() as exits:
        receivers = [await exits.enter_async_context(receiving()) for _ in range(5)]
        for receiver in receivers:
            receiver.statuses = [500, 503]
            await running.tell(receiver, contacts=3, backoffPlan=plan(5))
        await eventually(running.is_empty)
        assert await running.dead_errors() == []
        assert [len(receiver.times()) for receiver in receivers] == [3] * 5
        assert len(running.deliverer._in_flight._failing) <= 2


async def test_no_more_run_at_once_than_the_bound(tmp_path: Path) -> None:
    async with AsyncExitStack() as exits:
        running = await exits.enter_async_context(delivering(tmp_path, in_flight=5, in_flight_per_receiver=3))
        receivers = [await exits.enter_async_context(receiving()) for _ in range(3)]
        for receiver in receivers:
            receiver.gate.clear()
            await running.tell(receiver, contacts=10)
        await eventually(lambda: asyncio.sleep(0, sum(len(receiver.told) for receiver in receivers)), lambda seen: seen == 5)
        await asyncio.sleep(0.1)
        assert sum(receiver.at_once for receiver in receivers) == 5
        for receiver in receivers:
            receiver.gate.set()
        await eventually(running.is_empty)


async def test_what_is_under_way_at_a_stop_is_waited_for_and_what_does_not_end_is_sent_again(receiver: Receiver, tmp_path: Path) -> None:
    async with delivering(tmp_path) as running:
        receiver.gate.clear()
        await running.tell(receiver)
        await told(receiver, 1)
    receiver.gate.set()
    async with delivering(tmp_path) as running:
        await eventually(running.is_empty)
    assert list(receiver.times().values()) == [2]
