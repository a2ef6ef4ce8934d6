"""The notifier as a process on real Kafka: killed, stopped, its store lost, and in the whole stack."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from events.envelope import EventRecord
from events.topics import CAMPAIGN_EVENTS
from infra.stack.child import Child
from infra.stack.plan import children_of
from services.notifier.bootstrap import own_store
from services.notifier.outbox import Outbox
from services.notifier.settings import NotifierSettings
from services.runtime.kafka import make_producer
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.end_to_end.user import FAST, user_of
from tests.notifier.given import event, ready
from tests.notifier.receiver import Receiver, receiving
from tests.support.eventually import eventually
from tests.support.stack import RunningStack

CALLS = 60
TOLD = 2 * CALLS + 1


def campaign_run(url: str) -> list[EventRecord]:
    """A campaign from its creation to its end, `TOLD` of whose facts are told."""
    calls = [event("CallQueued", number, attempt=1) for number in range(CALLS)]
    ends = [event("CallEnded", number, endedReason="voicemail", endedAt="x") for number in range(CALLS)]
    return [*ready(server={"url": url}), *calls, *ends, event("CampaignEnded", endedReason="campaign.ended.success")]


async def append(settings: Settings, *events: EventRecord) -> None:
    producer = make_producer(settings)
    await producer.start()
    try:
        for fact in events:
            await producer.send(settings.topic_name(CAMPAIGN_EVENTS), orjson.dumps(fact), fact["orgid"].encode())
    finally:
        await producer.stop()


@asynccontextmanager
async def process(settings: Settings, **environment: str) -> AsyncIterator[Child]:
    """A notifier, ready; killed at the end where it still runs."""
    child = children_of(settings, **{"WEBHOOK_ALLOWED_PRIVATE_HOSTS": "127.0.0.1"} | environment)["notifier"]
    child.start()
    try:
        async with aiohttp.ClientSession() as http:
            await eventually(lambda: child.not_ready(http), lambda lack: lack is None, 40)
        yield child
    finally:
        child.kill()


async def all_told(receiver: Receiver, times: int = TOLD) -> None:
    async def ids() -> int:
        return len(receiver.times())

    await eventually(ids, lambda seen: seen >= times)


async def nothing_waits(settings: Settings) -> None:
    """The outbox is empty: every message was taken."""
    own = NotifierSettings(**settings.model_dump())
    async with own_store(own) as database:
        outbox = Outbox(database)

        async def waiting() -> list[Any]:
            return [await outbox.lanes(partition) for partition in range(settings.topic_partitions)]

        await eventually(waiting, lambda lanes: not any(lanes))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def test_a_notifier_alone_on_an_empty_cluster_makes_what_it_needs(settings: Settings) -> None:
    async with process(settings) as child:
        assert await child.stop()
        assert child.exit_code == 0, child.last_words()


async def test_a_kill_in_the_midst_loses_nothing_and_a_restart_sends_nothing_twice(settings: Settings, receiver: Receiver) -> None:
    await ensure_topics(settings)
    receiver.gate.clear()
    async with process(settings) as child:
        await append(settings, *campaign_run(receiver.url))
        await eventually(lambda: asyncio.sleep(0, len(receiver.told)), lambda seen: seen >= 8)
        child.kill()
    receiver.gate.set()
    async with process(settings) as child:
        await all_told(receiver)
        await nothing_waits(settings)
        assert await child.stop()
        assert child.exit_code == 0
    assert sorted({told.sequence for told in receiver.told}) == list(range(1, TOLD + 1))
    assert len(receiver.times()) == TOLD
    # only what was under way at the kill came twice
    so_far = len(receiver.told)
    assert so_far <= TOLD + 8
    async with process(settings):
        await append(settings, event("CampaignArchived"))
        await all_told(receiver, TOLD + 1)
    assert len(receiver.told) == so_far + 1


async def test_two_share_the_partitions_and_what_moves_between_them_is_told_once(settings: Settings, receiver: Receiver) -> None:
    await ensure_topics(settings)
    orgs = [f"org-{number}" for number in range(8)]
    campaigns = [f"campaign-{number}" for number in range(8)]
    other = settings.model_copy(update={"notifier_port": settings.dialer_port})
    async with process(settings):
        for org, campaign in zip(orgs, campaigns, strict=True):
            await append(settings, *ready(server={"url": receiver.url}, campaign=campaign, org=org))
        moving = asyncio.create_task(append_slowly(settings, list(zip(orgs, campaigns, strict=True))))
        async with process(other):
            await moving
            await all_told(receiver, 8 * CALLS)
            await nothing_waits(settings)
    assert len(receiver.times()) == 8 * CALLS
    numbers = {(told.message["campaignId"], told.sequence) for told in receiver.told}
    assert len(numbers) == 8 * CALLS
    # what was under way when its partition moved may come twice
    assert len(receiver.told) <= 8 * CALLS + 8 * 8


async def append_slowly(settings: Settings, campaigns: list[tuple[str, str]]) -> None:
    for round in range(CALLS):
        facts = [
            event("CallQueued", round * len(campaigns) + number, campaign=campaign, org=org, attempt=1)
            for number, (org, campaign) in enumerate(campaigns)
        ]
        await append(settings, *facts)


async def test_a_lost_store_sends_the_young_again_under_their_ids_and_the_old_never(settings: Settings, receiver: Receiver) -> None:
    await ensure_topics(settings)
    old = [fact | {"time": "2020-01-01T00:00:00.000Z"} for fact in (*ready(server={"url": receiver.url}), event("CampaignStarted"))]
    await append(settings, *old, event("CampaignEnded", endedReason="campaign.ended.success"))
    for _ in range(2):
        async with process(settings) as child:
            await eventually(lambda: asyncio.sleep(0, len(receiver.told)), bool)
            await nothing_waits(settings)
            assert await child.stop()
        for file in settings.data_dir.glob("notifier.sqlite*"):
            file.unlink()
    assert receiver.names() == ["campaign.ended"] * len(receiver.told)
    assert len(receiver.times()) == 1


async def test_a_store_of_another_log_is_refused(settings: Settings) -> None:
    await ensure_topics(settings)
    async with process(settings) as child:
        await append(settings, *campaign_run("http://127.0.0.1:9/"))
        async with own_store(NotifierSettings(**settings.model_dump())) as database:
            outbox = Outbox(database)

            async def lanes() -> list[Any]:
                return [await outbox.lanes(partition) for partition in range(settings.topic_partitions)]

            await eventually(lanes, any)
        assert await child.stop()
    other = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "other-"})
    await ensure_topics(other)
    child = children_of(other)["notifier"]
    child.start()
    try:
        await asyncio.wait_for(child.ended(), 30)
        assert "belongs to another log" in child.log_file.read_text()
    finally:
        child.kill()


async def test_a_campaign_over_the_whole_stack_is_told_from_start_to_end(
    start_stack: Callable[..., Awaitable[RunningStack]], receiver: Receiver
) -> None:
    stack = await start_stack(WEBHOOK_ALLOWED_PRIVATE_HOSTS="127.0.0.1", **FAST)
    names = ["campaign.started", "campaign.ended", "contact.dispatched", "contact.completed", "contact.failed"]
    async with user_of(stack, "acme") as user:
        campaign = await user.create(3, server={"url": receiver.url}, serverMessages=names)
        await all_told(receiver, 8)
    ordered = [told.message["eventType"] for told in sorted(receiver.told, key=lambda told: told.sequence)]
    assert (ordered[0], ordered[-1]) == ("campaign.started", "campaign.ended")
    assert ordered.count("contact.dispatched") == 3
    assert ordered.count("contact.completed") + ordered.count("contact.failed") == 3
    assert {told.message["campaignId"] for told in receiver.told} == {campaign["id"]}
    await stack.stop("notifier")
