"""How queued calls are handed out and their place kept, whatever becomes of one of them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from aiokafka import TopicPartition

from events.codec import encode_event
from events.envelope import Event, EventRecord
from events.facts import CallEnded, CallOutcomeUnknown, CallQueued, Fact
from projections.dial_task.task import DialTask
from services.dialer import queue_reading
from services.dialer.looked_up_places import HELD_SECONDS
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
            self._append(CallQueued(attempt=1), number, tp)

    def end(self, *numbers: int) -> None:
        for number in numbers:
            self._append(CallEnded(attempt=1, ended_reason="scheduled-call-deleted", ended_at=NOW), number, FIRST)

    def lose(self, number: int) -> None:
        """What became of its claim is unknown."""
        self._append(CallOutcomeUnknown(attempt=1, ends_by=NOW, provider="by-hand"), number, FIRST)

    def _append(self, fact: Fact, number: int, tp: TopicPartition) -> None:
        offset = len(self.records[tp])
        value = encode_event(Event(ORG, NOW, fact, CAMPAIGN, call_id(number)), f"e-{offset}")
        self.records[tp].append(SimpleNamespace(value=value, partition=tp.partition, offset=offset))

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


class SilentPredial:
    """Answers nobody until it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.left: list[str] = []
        """Whose question was given up."""
        self.answers = asyncio.Event()

    async def ask(self, task: DialTask) -> Verdict:
        self.asked.append(task.call_id)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.left.append(task.call_id)
            raise
        return Eligible()


class Reading:
    """A reader of calls 0 to 9, of which those named can not be taken up as long as they are faulty."""

    def __init__(self, *faulty: int, max_taken: int = 100) -> None:
        self.given = Given(*(task(number) for number in range(10)))
        self.tasks = FaultyTasks(*(task(number) for number in range(10)), faulty=[call_id(number) for number in faulty])
        self.given.dispatcher.tasks = self.tasks
        self.consumer = ConsumerInMemory()
        self.looking: dict[str, asyncio.Event] = {}
        """What ends the look-up of each call that is looked up."""
        self.reader = QueueReader(cast(Any, self.consumer), self.given.dispatcher, self._look_up, self.given.clock, max_taken)

    def _look_up(self, record: EventRecord) -> "asyncio.Task[None]":
        ended = self.looking[record["callid"]] = asyncio.Event()

        async def look() -> None:
            await ended.wait()

        return asyncio.create_task(look())

    def asking(self) -> SilentPredial:
        """Every call is asked about of a server that is silent."""
        self.given.dispatcher.predial = predial = SilentPredial()
        self.tasks.by_id = {id: replace(task, predial_plan={}, server={"url": "http://customer/"}) for id, task in self.tasks.by_id.items()}
        return predial

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
    predial = reading.asking()
    reading.tasks.by_id[call_id(3)] = task(3)
    reading.consumer.queue(0, 1, 2)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.queue(3)
        await reading.passes(1)
        assert (len(predial.asked), reading.claimed()) == (3, [call_id(3)])
        predial.answers.set()
        await reading.passes(1)
    assert len(reading.claimed()) == 4


async def test_a_call_that_ended_while_its_customers_server_was_silent_waits_no_more_and_its_place_moves_on() -> None:
    reading = Reading()
    predial = reading.asking()
    reading.consumer.queue(0, 1)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.end(0)
        await reading.passes(2)
        assert (predial.left, reading.given.dispatcher.waiting) == ([call_id(0)], 1)
        assert reading.consumer.committed[FIRST] == 1
        predial.answers.set()
        await reading.passes(2)
    assert (reading.claimed(), reading.consumer.committed[FIRST]) == ([call_id(1)], 3)


async def test_a_call_that_is_queued_again_waits_for_its_newest_turn_only() -> None:
    reading = Reading()
    predial = reading.asking()
    reading.consumer.queue(0)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.queue(0)
        await reading.passes(2)
        assert (predial.left, len(predial.asked), reading.given.dispatcher.waiting) == ([call_id(0)], 2, 1)
        assert reading.consumer.committed[FIRST] == 1
        predial.answers.set()
        await reading.passes(2)
    assert (reading.claimed(), reading.consumer.committed[FIRST]) == ([call_id(0)], 2)


async def test_calls_that_are_queued_and_ended_again_and_again_leave_nothing_waiting_and_hold_up_nobody() -> None:
    reading = Reading(max_taken=2)
    predial = reading.asking()
    with patch.object(queue_reading, "_MOST_WAITING", 12), begun(reading.reader.run()):
        for _ in range(5):
            reading.consumer.queue(*range(9))
            await reading.passes(1)
            reading.consumer.end(*range(9))
            await reading.passes(1)
        # read in one piece, none of these is begun before its end is read
        reading.consumer.queue(*range(9))
        reading.consumer.end(*range(9))
        reading.tasks.by_id[call_id(9)] = task(9)
        reading.consumer.queue(9)
        await reading.passes(2)
    assert len(predial.asked) == len(predial.left) == 45
    assert reading.given.dispatcher.waiting == 0
    assert (reading.claimed(), reading.consumer.committed[FIRST]) == ([call_id(9)], 109)


async def test_a_call_that_waits_for_its_next_try_after_a_fault_is_not_tried_once_it_has_ended() -> None:
    reading = Reading(0)
    reading.consumer.queue(0)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.end(0)
        await reading.passes(2)
        asked = len(reading.tasks.asked)
        await reading.passes(70)
    assert (reading.reader.failed, reading.consumer.committed[FIRST]) == (0, 2)
    assert len(reading.tasks.asked) == asked


async def test_a_claim_that_is_being_asked_for_is_asked_for_to_the_end_whatever_is_read_of_its_call() -> None:
    reading = Reading()
    reading.given.commands.works.clear()
    reading.consumer.queue(0)
    with begun(reading.reader.run()):
        await reading.passes(1)
        reading.consumer.end(0)
        await reading.passes(2)
        assert reading.consumer.committed[FIRST] == 0
        reading.given.commands.works.set()
        await reading.passes(2)
    assert (reading.claimed(), reading.consumer.committed[FIRST]) == ([call_id(0)], 2)


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


async def test_the_place_waits_for_a_call_that_is_looked_up_so_that_a_restart_looks_anew() -> None:
    reading = Reading()
    reading.consumer.lose(0)
    reading.consumer.queue(1)
    with begun(reading.reader.run()):
        await reading.passes(5)
        assert (reading.claimed(), reading.consumer.committed[FIRST]) == ([call_id(1)], 0)
        reading.looking[call_id(0)].set()
        await reading.passes(2)
    assert reading.consumer.committed[FIRST] == 2


async def test_the_place_waits_no_longer_than_200_seconds_for_a_look_up() -> None:
    reading = Reading()
    reading.consumer.lose(0)
    with begun(reading.reader.run()):
        await reading.passes(HELD_SECONDS - 5)
        assert reading.consumer.committed[FIRST] == 0
        await reading.passes(10)
    assert reading.consumer.committed[FIRST] == 1
    reading.looking[call_id(0)].set()


async def test_what_is_looked_up_on_a_partition_that_is_given_back_is_left_to_its_next_owner() -> None:
    reading = Reading()
    reading.consumer.lose(0)
    with begun(reading.reader.run()):
        await reading.passes(2)
        await reading.reader.on_partitions_revoked([FIRST])
        assert reading.consumer.committed[FIRST] == 0
        reading.consumer.lose(1)
        await reading.passes(2)
        assert reading.consumer.committed[FIRST] == 1
        await reading.reader.close()
    assert reading.consumer.committed[FIRST] == 1
