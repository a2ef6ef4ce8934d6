"""A record that can't be parsed stops nothing: it and what is behind it in its batch are dead-lettered, and the rest goes on."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from events.codec import decode_event, encode_command
from events.envelope import Command
from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_EVENTS
from services.engine.ports import CommandRecord
from services.engine.unreadable import Unreadable, read_past_unreadable
from services.runtime.settings import Settings
from tests.engine.given import T0, draft
from tests.engine.logs import PARTITION, KafkaLog
from tests.engine.test_engine_process import running
from tests.engine.test_handling import creation, handler
from tests.engine.test_large_commands import answers
from tests.support.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.odd_headers import OddBatch

_COMMANDS = TopicPartition("campaign-commands", 0)


class _Position(SimpleNamespace):
    def consumed_to(self, offset: int) -> None:
        self.position = offset


def fetched(batches: list[tuple[list[bytes], int]], from_offset: int) -> tuple[Any, _Position]:
    """The batches, of values and which of them is broken, as a consumer that reads past the unreadable fetched them.

    As from the broker they begin with that in which the offset lies.
    """
    written, offset = b"", 0
    for values, broken in batches:
        batch = OddBatch(values, broken)._build()
        batch[:8] = offset.to_bytes(8)
        offset += len(values)
        if offset > from_offset:
            written += bytes(batch)
    position = _Position(position=from_offset, paused=False)
    assignment = SimpleNamespace(active=True, state_value={_COMMANDS: position}.__getitem__)
    records = PartitionRecords(_COMMANDS, MemoryRecords(written), [], from_offset, None, None, True, READ_COMMITTED)
    result = FetchResult(_COMMANDS, assignment=assignment, partition_records=records, backoff=0)
    read_past_unreadable(SimpleNamespace(_fetcher=SimpleNamespace(_records=OrderedDict({_COMMANDS: result}))))
    return result, position


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=4), st.data())
def test_every_offset_is_read_once_or_told_to_be_unreadable_wherever_reading_starts(
    shapes: list[tuple[int, int]], data: st.DataObject
) -> None:
    batches, readable, offset = [], set(), 0
    for size, broken in shapes:
        batches.append(([b"%d" % (offset + n) for n in range(size)], broken))
        readable |= {offset + n for n in range(min(size, broken))}
        offset += size
    start = data.draw(st.integers(0, offset - 1))
    result, position = fetched(batches, start)
    seen: list[int] = []
    while result.has_more():
        for record in result.getall(data.draw(st.integers(1, 4))):
            if isinstance(record, Unreadable):
                assert record.topic == _COMMANDS.topic
                seen += [n for n in range(record.first_offset, record.offset + 1) if n >= start]
                assert readable.isdisjoint(range(record.first_offset, record.offset + 1))
            else:
                assert record.value == b"%d" % record.offset
                seen.append(record.offset)
    assert seen == list(range(start, offset))
    assert position.position == offset


def test_what_could_not_be_parsed_is_dead_lettered_by_its_offsets() -> None:
    target = handler()
    target.waiting.append(CommandRecord(CAMPAIGN_COMMANDS, 9, None, None, unreadable_from=7))
    target.waiting.append(CommandRecord(CAMPAIGN_COMMANDS, 10, b"k", creation("a")))
    batch = target.batch(T0)
    [letter] = batch.dead
    assert (letter.record.offset, letter.record.value) == (9, None)
    assert letter.reason == (
        "undecodable: one of the records from offset 7 to 9 has a header whose name is not UTF-8; they stand on campaign-commands only"
    )
    assert batch.positions == {CAMPAIGN_COMMANDS: 11}


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[KafkaLog]:
    settings.data_dir.mkdir()
    async with AsyncExitStack() as stack:
        yield await KafkaLog.start(settings, stack)


async def test_on_kafka_the_partition_goes_on_past_a_header_whose_name_is_not_utf_8(log: KafkaLog, settings: Settings) -> None:
    org = log.org_of(PARTITION)

    def command(id: str) -> bytes:
        return encode_command(Command(id, org, draft(1), "/tests"))

    for topic, values in ((CAMPAIGN_COMMANDS, [command("before"), command("broken"), command("behind")]), (CALL_COMMANDS, [b"{"])):
        batch = OddBatch(values, len(values) // 2)
        await (await log.producer.send_batch(batch, settings.topic_name(topic), partition=PARTITION))
    await log.send(CAMPAIGN_COMMANDS, command("after"), org.encode())

    async def seen() -> dict[str | None, str]:
        return answers([decode_event(value) for value, _ in await log.read(CAMPAIGN_EVENTS) if value is not None])

    async with running(settings, ManualClock()):
        found = await eventually(seen, lambda found: "after" in found, 30)
    assert set(found) == {"before", "after"}
    dead = {(headers["topic"], headers["offset"]): (value, headers["reason"]) for value, headers in await log.read(CAMPAIGN_COMMANDS_DEAD)}
    assert set(dead) == {(b"campaign-commands", b"2"), (b"call-commands", b"0")}
    assert all(value is None and b"not UTF-8" in reason for value, reason in dead.values())
    assert b"offset 1 to 2" in dead[b"campaign-commands", b"2"][1]
