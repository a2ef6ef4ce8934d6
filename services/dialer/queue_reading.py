"""Owns the dialer's place in the log: reads it as one of a group, hands queued calls out, commits what is dealt with."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from events.codec import read_event
from events.envelope import EventRecord
from events.errors import DecodeError
from events.facts import CallOutcomeUnknown, CallQueued
from services.dialer.dispatcher import Dispatcher
from services.dialer.offsets import OffsetTracker
from services.runtime.clock import Clock

_WANTED = (b'"CallQueued.', b'"CallOutcomeUnknown.')
_COMMIT_EVERY_SECONDS = 1.0
_REVOKE_SECONDS = 2.0
_POLL_MS = 200
_FULL_PAUSE_SECONDS = 0.02
_LEAST_RECORDS = 50
_MOST_RECORDS = 1_000
_MOST_WAITING = 20_000
_WIDEST_SPAN = 100_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class QueueReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Takes calls up as long as fewer than `max_taken` are looked after, in any order, and commits the lowest that is not done.

    Those that only wait for a provider do not count, so that they hold up no call of another, up to 20,000 of them.

    What was taken up on a partition that is given back is dropped before its claim; the next owner reads it again.
    """

    consumer: AIOKafkaConsumer
    dispatcher: Dispatcher
    on_outcome_unknown: Callable[[EventRecord], None]
    clock: Clock
    max_taken: int
    assigned: bool = False
    failed: int = 0
    """How many calls could not be taken up because of a fault of ours; their records stay undone until a restart."""
    _trackers: dict[TopicPartition, OffsetTracker] = field(default_factory=dict)
    _committed: dict[TopicPartition, int] = field(default_factory=dict)
    _tasks: dict[asyncio.Task[None], TopicPartition] = field(default_factory=dict)
    _commit_due: float = 0.0

    async def run(self) -> None:
        """Until cancelled; raises what Kafka says of a place that is lost."""
        while True:
            if self.clock.monotonic() >= self._commit_due:
                await self._commit(self.consumer.assignment())
            free = self._free()
            if free:
                self.consumer.resume(*self.consumer.paused())
            else:
                self.consumer.pause(*self.consumer.assignment())
            most = max(_LEAST_RECORDS, min(free, _MOST_RECORDS))
            # asked even when full: the group drops a member that stops asking
            batches = await self.consumer.getmany(timeout_ms=_POLL_MS if free else 0, max_records=most)
            for tp, records in batches.items():
                for record in records:
                    self._handle(tp, record)
            if not free:
                await self.clock.sleep(_FULL_PAUSE_SECONDS)

    def _free(self) -> int:
        if any(tracker.span > _WIDEST_SPAN for tracker in self._trackers.values()):
            return 0
        waiting = self.dispatcher.waiting
        if waiting >= _MOST_WAITING:
            return 0
        return max(0, self.max_taken - (len(self._tasks) - waiting) - self.dispatcher.held)

    def _handle(self, tp: TopicPartition, record: ConsumerRecord) -> None:
        tracker = self._trackers.setdefault(tp, OffsetTracker())
        event = _wanted_event(record)
        if event is not None and event["type"] == CallQueued.type_name:
            tracker.begin(record.offset)
            self._take_up(tp, record.offset, tracker, event)
            return
        tracker.passed(record.offset)
        if event is not None and event["type"] == CallOutcomeUnknown.type_name:
            self.on_outcome_unknown(event)

    def _take_up(self, tp: TopicPartition, offset: int, tracker: OffsetTracker, event: EventRecord) -> None:
        work = self.dispatcher.take_up(tp.partition, offset, event["callid"], event["data"]["attempt"])
        task = asyncio.create_task(work)
        self._tasks[task] = tp

        def ended(task: "asyncio.Task[None]") -> None:
            del self._tasks[task]
            if task.cancelled():
                return
            if (error := task.exception()) is None:
                tracker.done(offset)
            else:
                self.failed += 1
                _log.error("a call could not be taken up", exc_info=error, extra={"action": "take-up", "call": event["callid"]})

        task.add_done_callback(ended)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        given_back = set(revoked)
        await self._drop(given_back)
        try:
            async with asyncio.timeout(_REVOKE_SECONDS):
                await self._commit(given_back)
        except TimeoutError:
            _log.warning("a place could not be kept in time", extra={"action": "revoke"})
        self._forget(given_back)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._forget(set(assigned))
        self.assigned = True

    def _forget(self, tps: set[TopicPartition]) -> None:
        for tp in tps:
            self._trackers.pop(tp, None)
            self._committed.pop(tp, None)

    async def _drop(self, tps: set[TopicPartition]) -> None:
        dropped = [task for task, tp in self._tasks.items() if tp in tps]
        for task in dropped:
            task.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)

    async def _commit(self, tps: Iterable[TopicPartition]) -> None:
        self._commit_due = self.clock.monotonic() + _COMMIT_EVERY_SECONDS
        places = {tp: self._trackers[tp].committable for tp in tps if tp in self._trackers}
        news = {tp: place for tp, place in places.items() if place is not None and place != self._committed.get(tp)}
        if not news:
            return
        try:
            await self.consumer.commit(news)
            self._committed |= news
        except KafkaError as error:
            # what is not committed is read again, which is harmless
            _log.warning("a place is not committed yet", extra={"action": "commit", "error": type(error).__name__})

    async def close(self) -> None:
        """Drop what has no claim yet, and keep the place."""
        tps = set(self._trackers)
        await self._drop(tps)
        try:
            async with asyncio.timeout(_REVOKE_SECONDS):
                await self._commit(tps & self.consumer.assignment())
        except TimeoutError:
            _log.warning("a place could not be kept in time", extra={"action": "stop"})


def _wanted_event(record: ConsumerRecord) -> EventRecord | None:
    value: bytes | None = record.value
    if value is None or not any(name in value for name in _WANTED):
        return None
    try:
        return read_event(value)
    except DecodeError:
        _log.exception("an event can not be read", extra={"action": "read", "partition": record.partition, "offset": record.offset})
        return None
