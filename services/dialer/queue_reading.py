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
from events.facts import CallEnded, CallOutcomeUnknown, CallQueued
from services.dialer.dispatcher import Dispatcher
from services.dialer.looked_up_places import LookedUpPlaces
from services.dialer.offsets import OffsetTracker
from services.runtime.cancelling import cancel_all
from services.runtime.clock import Clock

_WANTED = (b'"CallQueued.', b'"CallEnded.', b'"CallOutcomeUnknown.')
_COMMIT_EVERY_SECONDS = 1.0
_REVOKE_SECONDS = 2.0
_POLL_MS = 200
_FULL_PAUSE_SECONDS = 0.02
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 60.0
_LEAST_RECORDS = 50
_MOST_RECORDS = 1_000
_MOST_WAITING = 20_000
_WIDEST_SPAN = 100_000

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _TakingUp:
    """A `CallQueued` that is taken up."""

    tp: TopicPartition
    offset: int
    call_id: str
    attempt: int
    is_needless: bool = False
    """Its call has ended since, or was queued again."""
    only_waits: bool = True
    """Nothing is said of it yet, or it waits for its next try."""


@dataclass(slots=True)
class QueueReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Takes calls up as long as fewer than `max_taken` are looked after, in any order, and commits the lowest that is not done.

    Those that only wait, for a provider, a customer's server or their next try after a fault, do not count, so that they hold up no call of
    another, up to 20,000 of them. A partition that has gone 100,000 queued calls past one that is not done waits by itself.
    One that only waits is dropped, and done, when its call ends or is queued again: so no org has more of them waiting than it has slots.

    What was taken up on a partition that is given back is dropped before its claim; the next owner reads it again. So are look-ups.
    """

    consumer: AIOKafkaConsumer
    dispatcher: Dispatcher
    look_up: Callable[[EventRecord], asyncio.Task[None] | None]
    clock: Clock
    max_taken: int
    assigned: bool = False
    failed: int = 0
    """How many calls could not be taken up so far because of a fault of ours; each is tried again after a pause."""
    _trackers: dict[TopicPartition, OffsetTracker] = field(default_factory=dict)
    _committed: dict[TopicPartition, int] = field(default_factory=dict)
    _tasks: dict[asyncio.Task[None], _TakingUp] = field(default_factory=dict)
    _newest: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Of each call that is taken up."""
    _looked_up: LookedUpPlaces = field(init=False)
    _commit_due: float = 0.0
    _pausing: int = 0
    """How many of the failed wait for their next try."""

    def __post_init__(self) -> None:
        self._looked_up = LookedUpPlaces(self.clock)

    async def run(self) -> None:
        """Until cancelled; raises what Kafka says of a place that is lost."""
        while True:
            if self.clock.monotonic() >= self._commit_due:
                await self._commit(self.consumer.assignment())
            free = self._free()
            self._hold_back(self._too_wide() if free else self.consumer.assignment())
            most = max(_LEAST_RECORDS, min(free, _MOST_RECORDS))
            # asked even when full: only who asks is told what the group refused
            batches = await self.consumer.getmany(timeout_ms=_POLL_MS if free else 0, max_records=most)
            for tp, records in batches.items():
                for record in records:
                    self._handle(tp, record)
            if not free:
                await self.clock.sleep(_FULL_PAUSE_SECONDS)

    def _too_wide(self) -> set[TopicPartition]:
        return {tp for tp in self.consumer.assignment() if tp in self._trackers and self._trackers[tp].span > _WIDEST_SPAN}

    def _hold_back(self, tps: Iterable[TopicPartition]) -> None:
        held_back = set(tps)
        self.consumer.resume(*(tp for tp in self.consumer.paused() if tp not in held_back))
        self.consumer.pause(*held_back)

    def _free(self) -> int:
        waiting = self.dispatcher.waiting + self._pausing
        if waiting >= _MOST_WAITING:
            return 0
        return max(0, self.max_taken - (len(self._tasks) - waiting) - self.dispatcher.held)

    def _handle(self, tp: TopicPartition, record: ConsumerRecord) -> None:
        tracker = self._trackers.setdefault(tp, OffsetTracker())
        event = _wanted_event(record)
        type_name = event["type"] if event is not None else None
        if event is not None and type_name in (CallQueued.type_name, CallEnded.type_name):
            self._drop_former(event["callid"])
        if event is not None and type_name == CallQueued.type_name:
            tracker.begin(record.offset)
            self._take_up(_TakingUp(tp, record.offset, event["callid"], event["data"]["attempt"]), tracker)
            return
        task = self.look_up(event) if event is not None and type_name == CallOutcomeUnknown.type_name else None
        if task is None:
            tracker.passed(record.offset)
        else:
            self._looked_up.hold(tp, tracker, record.offset, task)

    def _drop_former(self, call_id: str) -> None:
        """Where something is being said of it, that is said to its end: a claim of it may be granted already."""
        task = self._newest.pop(call_id, None)
        if task is None:
            return
        self._tasks[task].is_needless = True
        if self._tasks[task].only_waits:
            task.cancel()

    def _take_up(self, taking: _TakingUp, tracker: OffsetTracker) -> None:
        task = asyncio.create_task(self._until_taken_up(taking))
        self._tasks[task] = taking
        self._newest[taking.call_id] = task

        def ended(task: "asyncio.Task[None]") -> None:
            del self._tasks[task]
            if self._newest.get(taking.call_id) is task:
                del self._newest[taking.call_id]
            if taking.is_needless or (not task.cancelled() and task.exception() is None):
                tracker.done(taking.offset)

        task.add_done_callback(ended)

    async def _until_taken_up(self, taking: _TakingUp) -> None:
        """Twice as long a pause after each fault, up to a minute."""
        faults = 0
        try:
            while not taking.is_needless:
                try:
                    return await self._taken_up(taking)
                except Exception as error:
                    extra = {"action": "take-up", "call": taking.call_id, "error": type(error).__name__}
                    # its trace once is enough
                    _log.error("a call could not be taken up", exc_info=None if faults else error, extra=extra)
                self.failed += faults == 0
                faults += 1
                await self._pause(min(_FIRST_RETRY_SECONDS * 2 ** min(faults - 1, 10), _LONGEST_RETRY_SECONDS))
        finally:
            self.failed -= faults > 0

    async def _taken_up(self, taking: _TakingUp) -> None:
        try:
            considered = await self.dispatcher.consider(taking.tp.partition, taking.offset, taking.call_id, taking.attempt)
            taking.only_waits = False
            await self.dispatcher.say(considered)
        finally:
            taking.only_waits = True

    async def _pause(self, seconds: float) -> None:
        self._pausing += 1
        try:
            await self.clock.sleep(seconds)
        finally:
            self._pausing -= 1

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
        await cancel_all(task for task, taking in self._tasks.items() if taking.tp in tps)
        await self._looked_up.drop(tps)

    async def _commit(self, tps: Iterable[TopicPartition]) -> None:
        self._commit_due = self.clock.monotonic() + _COMMIT_EVERY_SECONDS
        self._looked_up.release_overdue()
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
