"""Owns the notifier's reading of the log: as one of a group, from the place in its own store, never from the group's."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from events.codec import read_event, type_at_a_glance
from events.envelope import EventRecord
from events.errors import DecodeError
from services.notifier.intake import PlaceLostError
from services.notifier.messages import NEVER_TOLD
from services.notifier.metrics import NotifierMetrics
from services.notifier.ports import EventIntake
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point

_POLL_MS = 200
_MOST_RECORDS = 1_000
_COMMIT_EVERY_SECONDS = 5.0

_log = logging.getLogger(__name__)


class OtherLogError(Exception):
    """The store's place lies beyond the log's end: it belongs to another log. Not retriable."""


@dataclass(slots=True)
class LogReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Every rebalance forgets every place, and records that were fetched meanwhile: what counts is the store's place, asked anew.

    The group's own offsets are committed so that its lag can be watched, and that a store which went back is noticed.
    """

    consumer: AIOKafkaConsumer
    intake: EventIntake
    clock: Clock
    window_seconds: float
    on_enqueued: Callable[[], None]
    on_store_went_back: Callable[[int], Awaitable[None]]
    metrics: NotifierMetrics
    is_placed: bool = False
    """Whether the group has given its assignment and every partition of it has a place."""
    _places: dict[TopicPartition, int] = field(default_factory=dict)
    _epoch: int = 0
    _commit_due: float = 0.0

    def partitions(self) -> set[int]:
        """The partitions that are read now."""
        return {tp.partition for tp in self._places}

    async def run(self) -> None:
        """Until cancelled; raises `OtherLogError`, what the store raises, and what Kafka says of a place that is lost."""
        while True:
            await self._find_places()
            epoch = self._epoch
            batches = await self.consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
            for tp, records in batches.items():
                if epoch == self._epoch and tp in self._places:
                    await self._take_in(tp, self._places[tp], records, epoch)
            await self._commit()

    async def _find_places(self) -> None:
        epoch = self._epoch
        missing = [tp for tp in self.consumer.assignment() if tp not in self._places]
        if not missing:
            return
        ends = await self.consumer.end_offsets(missing)
        for tp in missing:
            offset = await self.intake.place(tp.partition, self.clock.now(), self.window_seconds)
            if offset > ends[tp]:
                raise OtherLogError(
                    f"the notifier's store is at offset {offset} of {tp.topic}/{tp.partition}, which ends at {ends[tp]}: "
                    "it belongs to another log, so drop the notifier's tables or its file"
                )
            if (await self.consumer.committed(tp) or 0) > offset:
                _log.warning("the store is older than what was read: a backup?", extra={"action": "place", "partition": tp.partition})
                await self.on_store_went_back(tp.partition)
            if epoch != self._epoch:
                return
            self.consumer.seek(tp, offset)
            self._places[tp] = offset
        self.is_placed = True
        self.on_enqueued()

    async def _take_in(self, tp: TopicPartition, first_offset: int, records: list[ConsumerRecord], epoch: int) -> None:
        events = [event for record in records if record.offset >= first_offset and (event := self._read(record)) is not None]
        next_offset = max(first_offset, records[-1].offset + 1)
        fail_point("notifier.before-intake")
        try:
            told = await self.intake.take_in(tp.partition, first_offset, next_offset, events, self.clock.now())
        except PlaceLostError:
            _log.info("a place is taken up anew", extra={"action": "place", "partition": tp.partition})
            self._places.pop(tp, None)
            return
        fail_point("notifier.after-intake")
        if epoch == self._epoch:
            self._places[tp] = next_offset
        for message in told:
            self.metrics.enqueued.labels(message.name).inc()
        if told:
            self.on_enqueued()

    def _read(self, record: ConsumerRecord) -> EventRecord | None:
        if type_at_a_glance(record.value) in NEVER_TOLD:
            return None
        try:
            return read_event(record.value)
        except DecodeError:
            self.metrics.unreadable.inc()
            where = {"action": "read", "partition": record.partition, "offset": record.offset}
            _log.exception("an event can not be read and is passed over", extra=where)
            return None

    async def _commit(self) -> None:
        if self.clock.monotonic() < self._commit_due or not self._places:
            return
        self._commit_due = self.clock.monotonic() + _COMMIT_EVERY_SECONDS
        try:
            await self.consumer.commit(dict(self._places))
        except KafkaError as error:
            _log.warning("a place is not committed yet", extra={"action": "commit", "error": type(error).__name__})

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._forget()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._forget()
        self.is_placed = not list(assigned)

    def _forget(self) -> None:
        self._epoch += 1
        self._places.clear()
