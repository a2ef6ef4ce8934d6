"""What users ask of dead webhooks is carried out once, and what came of it is told together with its effect."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest

from events.envelope import Command
from events.topics import COMMAND_IDS_KEPT
from events.webhooks import DeadWebhook, ReplayWebhooks, WebhookReplay, read_webhook_state
from projections.store.engine import open_database
from services.notifier.expiring import Expiry
from services.notifier.intake import Intake
from services.notifier.outbox import Failed, Outbox
from services.notifier.own_store import metadata
from services.notifier.replays import Replays
from services.notifier.state_changes import StateChanges
from services.runtime.own_store import ensure_tables
from tests.notifier.given import CAMPAIGN, NOW, event, ready
from tests.support.clock import ManualClock
from tests.support.eventually import eventually

AT = NOW.timestamp()
HASH = "a" * 64


def asked(id: str = "c-1", org: str = "acme", ids: Sequence[str] | None = None) -> Command:
    data = ReplayWebhooks(all=True) if ids is None else ReplayWebhooks(ids=list(ids))
    return Command(id, org, data, "/test", request_hash=HASH)


class Store:
    """All parts of the store on one database, and what `webhook-state` was told of partition 0, by key."""

    def __init__(self, database: Any) -> None:
        self.intake, self.outbox, self.replays, self.changes = Intake(database), Outbox(database), Replays(database), StateChanges(database)
        self.topic: dict[str, Any] = {}
        self.told: list[tuple[str, Any]] = []

    async def given_dead(self, contacts: int = 2, org: str = "acme") -> list[str]:
        """Webhooks of one campaign that were given up, in their order."""
        campaign = f"{org}-{CAMPAIGN}"
        place = await self.intake.place(0, NOW, 60)
        calls = [event("CallQueued", number, campaign=campaign, org=org, attempt=1) for number in range(contacts)]
        for call in calls:
            call["callid"] = f"{org}-{call['callid']}"
        facts = [*ready(campaign=campaign, org=org), *calls]
        told = await self.intake.take_in(0, place, place + len(facts), facts, NOW)
        await self.outbox.settle([], [Failed(message.id, 3, AT + 5, None, "answered 500") for message in told])
        return [message.id for message in told]

    async def tell(self) -> None:
        """Let all changes be told."""
        while (unsent := await self.changes.unsent(0)) is not None:
            for key, value in unsent.records:
                state = None if value is None else read_webhook_state(orjson.loads(value))
                self.told.append((key.decode(), state))
                self.topic.pop(key.decode(), None)
                if state is not None:
                    self.topic[key.decode()] = state
            await self.changes.sent(unsent)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    database = open_database(database_url)
    await asyncio.gather(*(ensure_tables(database, metadata) for _ in range(2)))
    yield Store(database)
    await database.dispose()


async def test_what_is_given_up_is_told_with_its_message_and_why(store: Store) -> None:
    first, second = await store.given_dead()
    await store.tell()
    webhook = store.topic[first]
    assert isinstance(webhook, DeadWebhook)
    assert store.topic.keys() == {first, second}
    assert (webhook.org_id, webhook.sequence, webhook.event_type) == ("acme", 1, "contact.dispatched")
    assert (webhook.attempts, webhook.last_error) == (3, "answered 500")
    assert (webhook.dead_at - webhook.queued_at).total_seconds() == 5
    assert webhook.message["data"].keys() == {"contactId"}


async def test_a_webhook_that_fails_and_is_tried_again_is_not_told(store: Store) -> None:
    (message_id,) = await store.given_dead(1)
    await store.tell()
    await store.outbox.replay(AT)
    await store.tell()
    await store.outbox.settle([], [Failed(message_id, 1, AT, AT + 60, "answered 500")])
    assert await store.changes.unsent(0) is None
    assert store.topic == {}


async def test_a_command_lets_the_orgs_dead_be_sent_again_and_its_outcome_is_told_after_its_effect(store: Store) -> None:
    dead, foreign = await store.given_dead(), await store.given_dead(1, "other")
    await store.tell()
    assert await store.replays.carry_out(0, asked(), AT)
    await store.tell()
    outcome = WebhookReplay(id="c-1", org_id="acme", request_hash=HASH, replayed=2)
    assert {key: state for key, state in store.topic.items() if key != foreign[0]} == {"c-1": outcome}
    assert sorted(store.told[-3:-1], key=lambda told: dead.index(told[0])) == [(id, None) for id in dead]
    assert store.told[-1] == ("c-1", outcome)
    assert [row["id"] for row in await store.outbox.dead()] == foreign


async def test_ids_that_are_not_dead_or_of_another_org_count_as_absent(store: Store) -> None:
    (first, second), (foreign,) = await store.given_dead(), await store.given_dead(1, "other")
    await store.replays.carry_out(0, asked(ids=[first, foreign, "nobody"]), AT)
    await store.tell()
    assert store.topic["c-1"].replayed == 1
    assert store.topic.keys() == {second, foreign, "c-1"}


async def test_the_same_command_again_changes_nothing(store: Store) -> None:
    (message_id,) = await store.given_dead(1)
    assert await store.replays.carry_out(0, asked(), AT)
    await store.outbox.settle([], [Failed(message_id, 1, AT + 9, None, "answered 500")])
    assert not await store.replays.carry_out(0, asked(), AT + 10)
    await store.tell()
    assert (store.topic["c-1"].replayed, store.topic[message_id].attempts) == (1, 1)


async def test_what_came_of_a_command_is_forgotten_when_commands_are(store: Store) -> None:
    await store.replays.carry_out(0, asked(), AT)
    await store.tell()
    assert store.topic.keys() == {"c-1"}
    await store.replays.carry_out(0, asked("c-2"), AT + COMMAND_IDS_KEPT.total_seconds())
    await store.tell()
    assert store.topic.keys() == {"c-2"}


async def test_any_number_of_the_dead_is_sent_again_and_told_in_bounded_pieces(store: Store) -> None:
    dead = await store.given_dead(1_201)
    await store.replays.carry_out(0, asked(), AT)
    unsent = await store.changes.unsent(0)
    assert unsent is not None
    assert len(unsent.records) <= 500
    await store.tell()
    assert (store.topic["c-1"].replayed, store.told[-1][0]) == (len(dead), "c-1")
    assert store.topic.keys() == {"c-1"}


async def test_a_change_that_comes_while_another_is_sent_is_told_after_it(store: Store) -> None:
    (message_id,) = await store.given_dead(1)
    unsent = await store.changes.unsent(0)
    assert unsent is not None
    await store.outbox.replay(AT)
    for _ in range(2):
        await store.changes.sent(unsent)
    await store.tell()
    assert store.told == [(message_id, None)]


async def test_a_store_that_is_new_to_the_topic_tells_all_that_is_dead_once_and_clears_what_an_earlier_one_said(store: Store) -> None:
    (message_id,) = await store.given_dead(1)
    await store.tell()
    store.topic, store.told = {"of-an-earlier-store": object()}, []
    assert not await store.changes.is_told(0)
    await store.changes.note(0, store.topic)
    for _ in range(2):
        await store.changes.note_all(0)
    await store.tell()
    assert store.topic.keys() == {message_id}
    assert await store.changes.is_told(0)
    assert len(store.told) == 2


async def test_what_died_long_ago_expires_and_that_is_told_whatever_is_younger_or_sent_again_stays(store: Store) -> None:
    old, revived = await store.given_dead()
    (elsewhere,) = await store.given_dead(1, "other")
    await store.tell()
    await store.outbox.replay(AT + 6, [revived])
    assert await store.outbox.expire(0, AT + 4) == 0
    assert await store.outbox.expire(1, AT + 9) == 0
    await store.outbox.settle([], [Failed(elsewhere, 4, AT + 10, None, "answered 500")])
    assert [await store.outbox.expire(0, AT + 5) for _ in range(2)] == [1, 0]
    await store.tell()
    assert (old, None) in store.told
    assert store.topic.keys() == {elsewhere}
    assert [row["id"] for row in await store.outbox.dead()] == [elsewhere]
    assert await store.replays.carry_out(0, asked(ids=[old]), AT + 20)
    await store.tell()
    assert store.topic["c-1"].replayed == 0


async def test_any_number_of_the_dead_expires_in_bounded_pieces(store: Store) -> None:
    await store.given_dead(1_201)
    assert [await store.outbox.expire(0, AT + 5) for _ in range(3)] == [1_000, 201, 0]
    await store.tell()
    assert store.topic == {}


async def test_the_dead_are_kept_for_as_long_as_was_said(store: Store) -> None:
    await store.given_dead()
    clock = ManualClock(NOW)

    async def a_second_later() -> int:
        clock.move(seconds=1)
        return len(await store.outbox.dead())

    task = asyncio.create_task(Expiry(store.outbox, lambda: [0], clock, 90).run())
    try:
        await eventually(a_second_later, lambda dead: not dead)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (clock.now() - NOW).total_seconds() >= 95


async def test_a_store_that_went_back_tells_all_its_dead_anew(store: Store) -> None:
    dead = await store.given_dead()
    await store.changes.note_all(0)
    await store.tell()
    assert await store.changes.is_told(0)
    store.told.clear()
    await store.changes.forget_told(0)
    assert not await store.changes.is_told(0)
    await store.changes.note(0, ["died-after-the-backup"])
    await store.changes.note_all(0)
    await store.tell()
    assert {key for key, _ in store.told} == {*dead, "died-after-the-backup"}
    assert [state for key, state in store.told if key == "died-after-the-backup"] == [None]
