"""The store in memory and on both databases: events and place move together, what is due is found by receiver, the dead are kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event as event_of_sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from events.calls import VOICEMAIL
from events.envelope import EventRecord
from projections.store.engine import open_database, reading
from services.notifier import memory_store, outbox
from services.notifier.intake import Intake, PlaceLostError
from services.notifier.memory_store import MemoryNotifierStore
from services.notifier.messages import NAMES, WebhookMessage
from services.notifier.outbox import Failed, Outbox
from services.notifier.own_store import metadata
from services.notifier.ports import DeliveryOutbox, EventIntake
from services.runtime.own_store import ensure_tables
from tests.notifier.given import NOW, event, ready

WINDOW = 3 * 24 * 3_600.0
AT = NOW.timestamp()


class Store:
    """Both halves on one database, and the place of partition 0."""

    def __init__(self, intake: EventIntake, outbox: DeliveryOutbox) -> None:
        self.intake, self.outbox = intake, outbox
        self.offset = 0

    async def take_in(self, *events: EventRecord) -> list[WebhookMessage]:
        await self.intake.place(0, NOW, WINDOW)
        told = await self.intake.take_in(0, self.offset, self.offset + len(events), events, NOW)
        self.offset += len(events)
        return told

    async def due(self, at: float = AT) -> list[str]:
        lanes = await self.outbox.lanes(0)
        return [delivery.name for receiver in sorted(lanes) for delivery in await self.outbox.due(0, receiver, at, 100)]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store in SQL, of each kind in turn."""
    async with in_sql(database_url) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store of each kind in turn, that in memory too."""
    if request.param == "memory":
        kept = MemoryNotifierStore()
        yield Store(kept, kept)
        return
    url = f"sqlite:///{tmp_path}/any.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with in_sql(url) as opened:
        yield opened


@asynccontextmanager
async def in_sql(database_url: str) -> AsyncIterator[Store]:
    database = open_database(database_url)
    await asyncio.gather(*(ensure_tables(database, metadata) for _ in range(2)))
    yield Store(Intake(database), Outbox(database))
    await database.dispose()


async def test_what_is_known_lasts_from_batch_to_batch(any_store: Store) -> None:
    await any_store.take_in(*ready())
    await any_store.take_in(event("CampaignStarted"), event("CallQueued", 0, attempt=1))
    await any_store.take_in(event("CallQueued", 0, attempt=1), event("CallForwarded", 0, attempt=1))
    told = await any_store.take_in(event("CallEnded", 0, endedReason="a-reason-nobody-knows", endedAt="x"))
    assert [(message.name, message.sequence) for message in told] == [("contact.completed", 3)]
    assert await any_store.due() == ["campaign.started", "contact.dispatched", "contact.completed"]


async def test_a_place_moves_once_and_a_repeated_batch_makes_nothing(any_store: Store) -> None:
    batch = [*ready(), event("CampaignStarted")]
    await any_store.take_in(*batch)
    with pytest.raises(PlaceLostError):
        await any_store.intake.take_in(0, 0, 3, batch, NOW)
    assert await any_store.due() == ["campaign.started"]
    assert await any_store.intake.place(0, NOW + timedelta(days=9), WINDOW) == 3


async def test_a_new_store_learns_from_old_events_but_tells_only_what_is_younger_than_the_window(any_store: Store) -> None:
    old = [replaced(fact, WINDOW + 1) for fact in (*ready(), event("CampaignStarted"))]
    told = await any_store.take_in(*old, event("CallQueued", 0, attempt=1))
    assert [(message.name, message.sequence) for message in told] == [("contact.dispatched", 2)]


def replaced(fact: EventRecord, ago: float) -> EventRecord:
    return fact | {"time": event("x", ago=ago)["time"]}


async def test_what_came_while_the_notifier_was_away_for_long_is_told(any_store: Store) -> None:
    await any_store.take_in(*ready())
    late = NOW + timedelta(seconds=10 * WINDOW)
    told = await any_store.intake.take_in(0, 2, 3, [event("CampaignStarted")], late)
    assert [message.name for message in told] == ["campaign.started"]


async def test_each_receiver_has_a_lane_by_host_and_org(any_store: Store) -> None:
    campaigns = [str(number) * 8 for number in range(4)]
    urls = ["https://a.test/1", "https://a.test/2", "https://a.test:444/", "https://a.test/1"]
    orgs = ["acme", "acme", "acme", "other"]
    for campaign, url, org in zip(campaigns, urls, orgs, strict=True):
        await any_store.take_in(
            *ready(server={"url": url}, campaign=campaign, org=org), event("CampaignStarted", campaign=campaign, org=org)
        )
    assert await any_store.outbox.lanes(0) == dict.fromkeys(["acme a.test:443", "acme a.test:444", "other a.test:443"], AT)
    assert len(await any_store.outbox.due(0, "acme a.test:443", AT, 10)) == 2
    assert await any_store.outbox.lanes(1) == {}


_LONG_HOST = ".".join("".join(chr(0x4E00 + 7_919 * (label * 15 + place) % 20_000) for place in range(15)) for label in range(120))
"""In Chinese, so that it takes 5,519 bytes of UTF-8, which do not compress."""


@pytest.mark.parametrize("host", ["a\0b", "\x7f", _LONG_HOST, "x" * 1_990])
async def test_no_url_that_stands_on_the_log_stops_its_partition(any_store: Store, host: str) -> None:
    """PostgreSQL's text holds no NUL, and its indexes no more than 2,704 bytes."""
    told = await any_store.take_in(*ready(server={"url": f"http://{host}/"}), event("CampaignStarted"))
    assert len(told) == 1
    assert await any_store.due() == ["campaign.started"]


async def test_of_very_many_receivers_those_are_looked_at_whose_messages_are_due_first(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in (outbox, memory_store):
        monkeypatch.setattr(owner, "MOST_LANES", 2)
    for number in range(4):
        campaign, server = str(number) * 8, {"url": f"https://{'dcba'[number]}.test/"}
        await any_store.take_in(*ready(server=server, campaign=campaign), event("CampaignStarted", campaign=campaign))
    seen: list[str] = []
    while lanes := await any_store.outbox.lanes(0):
        assert len(lanes) <= 2
        (first, *_) = lanes
        seen.append(first)
        (due,) = await any_store.outbox.due(0, first, AT + 60, 10)
        failed = [] if due.failures else [Failed(due.id, 1, AT, AT + 60, "answered 500")]
        await any_store.outbox.settle([] if failed else [due.id], failed)
    assert seen == [f"acme {host}.test:443" for host in "abcdabcd"]


async def test_of_very_many_receivers_of_one_org_none_keeps_another_orgs_from_being_looked_at(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in (outbox, memory_store):
        monkeypatch.setattr(owner, "MOST_LANES", 3)
    for org, count in {"acme": 5, "acmf": 1, "zeta": 2}.items():
        for number in range(count):
            campaign, server = f"{org}-{number}", {"url": f"https://h{number}.test/"}
            await any_store.take_in(*ready(server=server, campaign=campaign, org=org), event("CampaignStarted", campaign=campaign, org=org))
    assert set(await any_store.outbox.lanes(0)) == {"acme h0.test:443", "acmf h0.test:443", "zeta h0.test:443"}


async def test_what_was_taken_is_gone_and_what_failed_waits(any_store: Store) -> None:
    await any_store.take_in(*ready(), event("CampaignStarted"), event("CallQueued", 0, attempt=1))
    (receiver,) = await any_store.outbox.lanes(0)
    started, dispatched = await any_store.outbox.due(0, receiver, AT, 10)
    failed = Failed(dispatched.id, 1, AT, AT + 60, "answered 500")
    for _ in range(2):
        await any_store.outbox.settle([started.id], [failed])
    assert await any_store.due() == []
    assert await any_store.outbox.lanes(0) == {receiver: AT + 60}
    assert await any_store.outbox.due(0, receiver, AT + 60, 10) == [replace(dispatched, failures=1)]


async def test_the_dead_are_listed_and_sent_again_under_the_same_ids_when_asked(store: Store) -> None:
    kept = store.outbox
    assert isinstance(kept, Outbox)
    await store.take_in(*ready(), event("CampaignStarted"), *(event("CallQueued", number, attempt=1) for number in range(2)))
    (receiver,) = await kept.lanes(0)
    due = await kept.due(0, receiver, AT, 10)
    await kept.settle([], [Failed(delivery.id, 7, AT, None, "answered 410") for delivery in due])
    assert await kept.lanes(0) == {}
    dead = await kept.dead("acme")
    assert [(row["id"], row["failures"], row["last_error"]) for row in dead] == [(delivery.id, 7, "answered 410") for delivery in due]
    assert await kept.dead("other") == []
    assert await kept.replay(AT + 9, org_id="other") == 0
    assert await kept.replay(AT + 9, [due[0].id]) == 1
    assert await kept.due(0, receiver, AT + 9, 10) == [replace(due[0], enqueued_at=AT + 9)]
    assert await kept.replay(AT + 9) == 2
    assert await kept.dead() == []


async def test_events_of_campaigns_that_want_nothing_only_move_the_place(any_store: Store) -> None:
    told = await any_store.take_in(event("CampaignCreated", name="Spring"), event("CallEnded", 0, endedReason=VOICEMAIL, endedAt="x"))
    assert told == []
    assert await any_store.intake.place(0, NOW, WINDOW) == 2


async def test_a_campaign_is_forgotten_when_nothing_more_can_be_told_and_nothing_of_it_waits_or_is_dead(store: Store) -> None:
    kept = store.outbox
    assert isinstance(kept, Outbox)
    await store.take_in(*ready(NAMES - {"campaign.archived"}), event("CampaignStarted"))
    (receiver,) = await kept.lanes(0)
    (started,) = await kept.due(0, receiver, AT, 10)
    await kept.settle([started.id], [])
    assert await kept.forget_campaigns() == 0
    await store.take_in(event("CampaignEnded", endedReason="campaign.ended.success"))
    (over,) = await kept.due(0, receiver, AT, 10)
    await kept.settle([], [Failed(over.id, 1, AT, None, "answered 500")])
    assert await kept.forget_campaigns() == 0
    await kept.replay(AT + 1)
    (again,) = await kept.due(0, receiver, AT + 1, 10)
    assert again.server == over.server
    await kept.settle([again.id], [])
    assert [await kept.forget_campaigns() for _ in range(2)] == [1, 0]
    assert await store.take_in(event("CampaignArchived"), event("CampaignDeleted")) == []


async def test_what_is_told_is_the_same_whether_campaigns_are_forgotten_in_between_or_not(store: Store) -> None:
    kept = store.outbox
    assert isinstance(kept, Outbox)
    facts = [
        fact
        for campaign, names in {"a": NAMES, "b": NAMES - {"campaign.archived"}, "c": NAMES}.items()
        for fact in (
            *ready(names, campaign=campaign),
            event("CampaignStarted", campaign=campaign),
            event("CampaignEnded", campaign=campaign, endedReason="campaign.ended.success"),
        )
    ]
    facts += [event(name, campaign=campaign) for campaign in "abc" for name in ("CampaignUpdated", "CampaignArchived", "CampaignDeleted")]
    whole = MemoryNotifierStore()
    await whole.place(0, NOW, WINDOW)
    expected = await whole.take_in(0, 0, len(facts), facts, NOW)
    told = []
    for fact in facts:
        told += await store.take_in(fact)
        await kept.settle([message.id for message in told], [])
        await kept.forget_campaigns()
    assert told == expected
    assert sum(message.name == "campaign.archived" for message in told) == 2
    assert await kept.forget_campaigns() == 0


async def test_the_look_up_finds_the_next_receiver_by_the_index(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/plan.sqlite")
    await ensure_tables(database, metadata)
    async with reading(database) as connection:
        asked = text(f"EXPLAIN QUERY PLAN {outbox._LANES.text}")
        plan = [row[3] for row in await connection.execute(asked, {"partition": 0, "most": 1})]
    await database.dispose()
    searches = [step for step in plan if "notifier_outbox" in step or step.startswith("SEARCH o ")]
    assert searches
    assert all("(partition=? AND dead=?" in step for step in searches), plan


async def test_no_place_is_found_in_a_store_that_takes_no_writes(postgres_url: str) -> None:
    async with in_sql(postgres_url) as store:
        await store.take_in(*ready())
    read_only = open_database(postgres_url)
    event_of_sqlalchemy.listen(read_only.sync_engine, "begin", lambda connection: connection.exec_driver_sql("SET TRANSACTION READ ONLY"))
    with pytest.raises(DBAPIError, match="read-only transaction"):
        await Intake(read_only).place(0, NOW, WINDOW)
    await read_only.dispose()
