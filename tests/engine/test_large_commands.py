"""What is larger than a command may be stops nothing: it is dead-lettered without its value, its user is told, and the rest goes on."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from events.codec import decode_event, encode_command
from events.envelope import Command, Event
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_EVENTS, MAX_COMMAND_BYTES
from services.engine.handling import Handler
from services.engine.ports import CommandRecord
from services.runtime.kafka import make_producer
from services.runtime.settings import Settings
from tests.engine.given import T0, draft, names
from tests.engine.logs import PARTITION, KafkaLog
from tests.engine.test_engine_process import running
from tests.engine.test_handling import all_batches, creation, decoded, feed, handler
from tests.support.clock import ManualClock
from tests.support.eventually import eventually


def large(id: str, org: str = "org-1", name: str = "x" * 3_000_000, **more: Any) -> bytes:
    envelope = {"specversion": "1.0", "id": id, "source": "/tests", "type": "CreateCampaign.v1", "orgid": org}
    return json.dumps({**envelope, "data": {"name": name, **more}}).encode()


def answers(events: list[Event]) -> dict[str | None, str]:
    return {event.causation_id: names([event])[0] for event in events if event.causation_id is not None}


def record_of(value: bytes | None, *headers: tuple[str, bytes | None], key: bytes | None = b"org-1") -> Handler:
    target = handler()
    target.waiting.append(CommandRecord(CAMPAIGN_COMMANDS, 7, key, value, headers))
    return target


def test_a_command_larger_than_any_may_be_is_rejected_and_dead_lettered_without_its_value() -> None:
    target = handler()
    feed(target, large("big"), creation("a"))
    batch = target.batch(T0)
    assert answers(decoded(batch)) == {"big": "CommandRejected", "a": "ContactsCompleted"}
    [letter] = batch.dead
    assert (letter.record.value, letter.record.offset, letter.reason.partition(":")[0]) == (None, 0, "too-large")
    assert "campaign-commands at its offset" in letter.reason
    assert batch.positions == {CAMPAIGN_COMMANDS: 2}


def test_headers_count_too_and_are_not_copied() -> None:
    for headers in ([("h", b"x" * MAX_COMMAND_BYTES)], [("", None)] * 200_000):
        [letter] = record_of(creation("a"), *headers).batch(T0).dead
        assert (letter.record.headers, letter.record.value) == ((), None)


def test_a_key_that_is_large_is_not_copied() -> None:
    [letter] = record_of(b"{", key=b"k" * 2 * MAX_COMMAND_BYTES).batch(T0).dead
    assert letter.record.key == b""


def test_what_is_too_large_and_can_not_be_read_is_dead_lettered_only() -> None:
    for value in (b"\xff" * 2_000_000, large("a", name="x" * 17 * MAX_COMMAND_BYTES), b"[" * 2_000_000):
        batch = record_of(value).batch(T0)
        assert (len(batch.dead), batch.events) == (1, [])


def test_what_is_too_large_to_be_forwarded_is_dead_lettered_here() -> None:
    for value in (large("a", "elsewhere"), large("a", "elsewhere", "x" * (MAX_COMMAND_BYTES - 600))):
        batch = record_of(value).batch(T0)
        assert (len(batch.dead), batch.events, batch.forwarded) == (1, [], [])


def test_a_command_that_would_become_too_large_an_event_is_rejected() -> None:
    overrides = b'{"model":[' + b",".join([b"1e15"] * 200_000) + b"]}"
    value = creation("a").replace(b'"customers"', b'"assistantOverrides":%b,"customers"' % overrides)
    assert len(value) < MAX_COMMAND_BYTES
    batch = record_of(value).batch(T0)
    assert answers(decoded(batch)) == {"a": "CommandRejected"}
    assert len(batch.dead) == 1


@pytest.mark.parametrize("org", ["org-1", "elsewhere"])
def test_a_transaction_holds_some_mebibytes_at_most(org: str) -> None:
    target = handler()
    feed(target, *(large(f"c{n}", org, "x" * 900_000) for n in range(40)))
    batches = all_batches(target)
    assert max(sum(len(letter.record.value or b"") for letter in batch.dead) for batch in batches) < 10_000_000
    assert max(len(batch.forwarded) for batch in batches) <= 10
    assert sum(len(batch.dead) + len(batch.forwarded) for batch in batches) == 40


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[KafkaLog]:
    settings.data_dir.mkdir()
    async with AsyncExitStack() as stack:
        yield await KafkaLog.start(settings, stack)


async def test_on_kafka_the_partition_goes_on_past_what_another_producers_compression_brought_by_the_broker(
    log: KafkaLog, settings: Settings
) -> None:
    own, other = log.org_of(PARTITION), log.org_of(1)
    almost = json.dumps({"orgid": other, "source": "/t", "specversion": "1.0", "type": "X.v1", "id": "r"}).encode()
    noise = os.urandom(MAX_COMMAND_BYTES // 2).hex().encode()
    foreign = make_producer(settings, compression_type="zstd", max_request_size=8 * MAX_COMMAND_BYTES)
    await foreign.start()
    topic = settings.topic_name(CAMPAIGN_COMMANDS)
    try:
        await foreign.send_and_wait(topic, large("big", own), own.encode(), PARTITION)
        await foreign.send_and_wait(topic, large("big", other), b"\xff", PARTITION)
        await foreign.send_and_wait(topic, almost[:-1] + b',"data":{"x":"%b"}}' % noise[:1_047_800], own.encode(), PARTITION)
        await foreign.send_and_wait(topic, None, b"k" * 3_000_000, PARTITION)
        await foreign.send_and_wait(topic, b"{", None, PARTITION, headers=[("h", b"x" * 3_000_000), ("none", None)])
    finally:
        await foreign.stop()
    await log.send(CAMPAIGN_COMMANDS, encode_command(Command("small", own, draft(1), "/tests")), own.encode())
    async with running(settings, ManualClock()):

        async def seen() -> dict[str | None, str]:
            return answers([decode_event(value) for value, _ in await log.read(CAMPAIGN_EVENTS)])

        found = await eventually(seen, lambda found: "small" in found, 30)
    assert found["big"] == "CommandRejected"
    dead = await log.read(CAMPAIGN_COMMANDS_DEAD)
    assert [(value, headers["offset"], headers["partition"]) for value, headers in dead] == [
        (None, str(n).encode(), b"0") for n in range(5)
    ]
    assert all(headers["reason"].startswith(b"too-large: ") for _, headers in dead)
