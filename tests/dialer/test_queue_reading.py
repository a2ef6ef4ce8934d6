"""How queued calls are handed out and their place kept, whatever becomes of one of them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from aiokafka import TopicPartition

from events.codec import encode_event
from events.envelope import Event
from events.facts import CallQueued
from projections.dial_task.task import DialTask
from services.dialer import queue_reading
from services.dialer.predial import Eligible, Verdict
from services.dialer.queue_reading import QueueReader
from tests.dialer.given import CAMPAIGN, NOW, ORG, Given, TasksInMemory, begun, call_id, settle, task

FIRST, SECOND = TopicPartition("events", 0), TopicPartition("events", 1)


@dataclass
class ConsumerInMemory:
    """What a `QueueReader` uses of a consumer that has two partitions."""

    records: dict[TopicPartition, list[Any]] = field(default_factory=lambda: {FIRST: [], SECOND: []})
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    held: set[TopicPartition] = field(default_factory=set)
    _read: dict[TopicPartition, int] = field(default_factory=lambda: {FIRST: 0, SECOND: 0})

    def queue(self, *numbers: int, tp: TopicPartition = FIRST) -> None:
        for number in numbers:
            value = encode_event(Event(ORG, NOW, CallQueued(attempt=1), CAMPAIGN, call_id(number)), f"e-{number}")
            self.records[tp].append(SimpleNamespace(value=value, partition=tp.partition, offset=len(self.records[tp])))

    def assignment(self) -> set[TopicPartition]:
        return set(self.records)

    def paused(self) -> set[TopicPartition]:
        return set(self.held)

    def pause(self, *tps: TopicPartition) -> None:
        self.held.update(tps)

    def resume(self, *tps: TopicPartition) -> None:
        self.held.difference_update(tps)

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        await settle()
        found = {tp: self.records[tp][self._read[tp] :][:max_records] for tp in self.records if tp not in self.held}
        for tp, records in found.items():
            self._read[tp] += len(records)
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed |= offsets


class FaultyTasks(TasksInMemory):
    """Raises for the calls that it is told to."""

    def __init__(self, *tasks: DialTask, faulty: Iterable[str]) -> None:
        super().__init__(*tasks)
        self.faulty = set(faulty)
        self.asked: list[str] = []

    async def get(self, partition: int, offset: int, call_id: str) -> DialTask:
        self.asked.append(call_id)
        if call_id in self.faulty:
            raise RuntimeError("a fault of ours")
        return await super().get(partition, offset, call_id)


class Reading:
    """A reader of calls 0 to 9, of which those named can not be taken up as long as they are faulty."""

    def __init__(self, *faulty: int, max_taken: int = 100) -> None:
        self.given = Given(*(task(number) for number in range(10)))
        self.tasks = FaultyTasks(*(task(number) for number in range(10)), faulty=[call_id(number) for number in faulty])
        self.given.dispatcher.tasks = self.tasks
        self.consumer = ConsumerInMemory()
        self.reader = QueueReader(cast(Any, self.consumer), self.given.dispatcher, lambda _: None, self.given.clock, max_taken)

    def claimed(self) -> list[str | None]:
        return [claim.call_id for claim in self.given.claims()]

    async def passes(self, seconds: float) -> None:
        """This much time, in steps that no pause falls between."""
        for _ in range(round(seconds / 0.5)):
            self.given.clock.move(seconds=0.5)
            await settle()
            await settle()


async def test_a_call_that_could_not_be_taken_up_is_tried_again_until_it_can_and_then_its_place_moves_on() -> None:
    reading = Reading(0)
    reading.consumer.queue(0, 1)
    with begun(reading.reader.run()):
        await reading.passes(2)
        assert reading.claimed() == [call_id(1)]
        assert (reading.reader.failed, reading.consumer.committed[FIRST]) == (1, 0)
        reading.tasks.faulty.clear()
        await reading.passes(70)
    assert reading.claimed() == [call_id(1), call_id(0)]
    assert (reading.reader.failed, reading.consumer.committed[FIRST]) == (0, 2)


async def test_the_pauses_between_its_tries_grow_up_to_a_minute() -> None:
    reading = Reading(0)
    reading.consumer.queue(0)
    with begun(reading.reader.run()):
        await reading.passes(64)
        assert 6 <= len(reading.tasks.asked) <= 7
        await reading.passes(600)
        assert 15 <= len(reading.tasks.asked) <= 18


async def test_calls_that_wait_for_their_next_try_take_no_others_room() -> None:
    reading = Reading(0, 1, 2, max_taken=2)
    reading.consumer.queue(0, 1, 2)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.queue(3)
        await reading.passes(1)
    assert reading.claimed() == [call_id(3)]


async def test_calls_whose_customers_server_is_silent_take_no_others_room() -> None:
    reading = Reading(max_taken=2)
    answered, asked = asyncio.Event(), []

    class SilentPredial:
        async def ask(self, task: DialTask) -> Verdict:
            asked.append(task.call_id)
            await answered.wait()
            return Eligible()

    reading.given.dispatcher.predial = SilentPredial()
    for number in range(3):
        reading.tasks.by_id[call_id(number)] = task(number, predial_plan={}, server={"url": "http://customer/"})
    reading.consumer.queue(0, 1, 2)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.queue(3)
        await reading.passes(1)
        assert (len(asked), reading.claimed()) == (3, [call_id(3)])
        answered.set()
        await reading.passes(1)
    assert len(reading.claimed()) == 4


async def test_a_call_that_waits_is_dropped_with_its_partition() -> None:
    reading = Reading(0)
    reading.consumer.queue(0)
    with begun(reading.reader.run()):
        await reading.passes(1)
        await reading.reader.on_partitions_revoked([FIRST])
        assert reading.reader.failed == 0
        asked = len(reading.tasks.asked)
        reading.tasks.faulty.clear()
        await reading.passes(70)
    assert len(reading.tasks.asked) == asked
    assert reading.claimed() == []


async def test_a_partition_that_can_not_move_on_holds_up_no_other() -> None:
    reading = Reading(0)
    reading.consumer.queue(0, 1, 2, 3)
    with patch.object(queue_reading, "_WIDEST_SPAN", 3), begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.queue(4)
        reading.consumer.queue(5, tp=SECOND)
        await reading.passes(2)
        assert reading.claimed() == [call_id(1), call_id(2), call_id(3), call_id(5)]
        reading.tasks.faulty.clear()
        await reading.passes(70)
    assert reading.claimed()[4:] == [call_id(0), call_id(4)]
