"""Owns telling a compacted topic what changed in a store: one transaction at a time for each partition.

A partition's transactional id fences its former owner, so that no older state ever comes after a newer one.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError, UnknownError

from services.runtime.clock import Clock
from services.runtime.letting_go import let_go, start_or_let_go

_INTERVAL_SECONDS = 0.1
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_HELD_BACK_SECONDS = 5.0
"""Between two transactions of a partition whose changes come faster than anybody needs to be told of each."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_REFUSALS = (*_TOO_LARGE, InvalidTimestampError, UnknownError)
"""What the broker says of the records themselves; INVALID_RECORD is `UnknownError` to aiokafka, as faults of the broker's own are."""
_MOST_REFUSALS = 8
"""Of one record, in some two minutes."""
_LONGEST_PAUSE_SECONDS = 60.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unsent(Generic[T]):
    """Keys whose state is not on the topic yet, with that state; no value means that there is none any more. `entries` name the changes."""

    records: list[tuple[bytes, bytes | None]]
    entries: T


class Changes(Protocol[T]):
    """What changed in a store and was not told yet."""

    async def unsent(self, partition: int, most: int | None = None) -> Unsent[T] | None:
        """Some changes of the partition, `most` of them at most, with the states as of now; None where there are none."""

    async def sent(self, unsent: Unsent[T]) -> None:
        """They were told: `forget` them."""

    async def forget(self, unsent: Unsent[T]) -> None:
        """Forget these changes, but none that came since; idempotent."""


class _RefusedError(Exception, Generic[T]):
    """The broker did not take the records, or one of them, which it does not say."""

    def __init__(self, unsent: Unsent[T], error: KafkaError) -> None:
        super().__init__(type(error).__name__)
        self.unsent = unsent
        self.error = error


class PartitionPublisher(Generic[T]):
    """Publishes for the partitions that this process owns; `new_producer` gives one with the transactional id of a partition.

    The store's errors come through `run`; Kafka's are tried again, since the store keeps what was not sent. Where the broker refuses
    records, fewer are sent at once until the one that it refuses is found: that is tried for some two minutes, or not again where it is
    too large, and then given up, so that it does not hold up the others for ever. Its key is told again when it changes.
    """

    def __init__(self, changes: Changes[T], new_producer: Callable[[int], AIOKafkaProducer], topic: str, clock: Clock) -> None:
        self._changes = changes
        self._new_producer = new_producer
        self._topic = topic
        self._clock = clock
        self._owned: set[int] = set()
        self._dirty: set[int] = set()
        self._told_at: dict[int, float] = {}
        self._held_until: dict[int, float] = {}
        self._paused_until: dict[int, float] = {}
        self._most: dict[int, int] = {}
        """How many changes of a partition are sent at once, where records of it were refused lately."""
        self._refusals: dict[int, int] = {}
        """How often in a row the one record was refused that was sent alone."""
        self._producers: dict[int, AIOKafkaProducer] = {}
        self._woken = asyncio.Event()

    def own(self, partitions: set[int]) -> None:
        """From here on publish for these partitions only; what changed in them is sent first."""
        self._owned = set(partitions)
        self._dirty = set(partitions)
        self._woken.set()

    def wake(self, partition: int) -> None:
        """Something changed in the partition."""
        self._dirty.add(partition)
        self._woken.set()

    def hold_back(self, partition: int) -> None:
        """Many changes come at once: tell some of them a while after the last that were told, and the others after that, as of then."""
        self._held_until[partition] = self._told_at.get(partition, 0.0) + _HELD_BACK_SECONDS

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._let_go()
                now = self._clock.monotonic()
                dirty = self._dirty & self._owned
                due = sorted(partition for partition in dirty if now >= self._due_at(partition))
                self._dirty = dirty.difference(due)
                if self._dirty:
                    self._woken.set()
                for partition in due:
                    if partition in self._owned:
                        await self._publish(partition)
                await self._clock.sleep(_INTERVAL_SECONDS)
        finally:
            self._owned = set()
            await self._let_go()

    def _due_at(self, partition: int) -> float:
        return max(self._held_until.get(partition, 0.0), self._paused_until.get(partition, 0.0))

    async def _let_go(self) -> None:
        for partition in set(self._producers) - self._owned:
            await self._drop(partition)

    async def _publish(self, partition: int) -> None:
        self._told_at[partition] = self._clock.monotonic()
        most = self._most.get(partition)
        unsent = await self._changes.unsent(partition, most)
        if unsent is None:
            return
        try:
            if partition not in self._producers:
                self._producers[partition] = await self._started(partition)
                # what was read before the former owner was fenced may be older than what it has sent
                unsent = await self._changes.unsent(partition, most)
            if unsent is not None:
                await self._send(self._producers[partition], partition, unsent)
        except _RefusedError as refused:
            await self._drop(partition)
            await self._refused(partition, refused)
        except (KafkaError, OSError) as error:
            # a fence too: the broker also fences a producer whose transaction it timed out, with no other owner about
            _log.warning("publishing failed, trying again: %s", error, extra={"action": "publish", "partition": partition})
            await self._drop(partition)
            self._pause(partition, _PAUSE_AFTER_FAILURE_SECONDS)
        else:
            if unsent is not None:
                await self._changes.sent(unsent)
                self._accepted(partition, len(unsent.records))
        self.wake(partition)

    def _pause(self, partition: int, seconds: float) -> None:
        self._paused_until[partition] = self._clock.monotonic() + seconds

    def _accepted(self, partition: int, records: int) -> None:
        self._refusals.pop(partition, None)
        if partition in self._most:
            if self._most[partition] > records:
                del self._most[partition]
            else:
                self._most[partition] *= 2

    async def _refused(self, partition: int, refused: "_RefusedError[T]") -> None:
        records, name = refused.unsent.records, type(refused.error).__name__
        extra = {"action": "publish", "partition": partition, "records": len(records), "error": name}
        if len(records) > 1:
            _log.error("records were refused, trying again with fewer at once", extra=extra)
            self._most[partition] = len(records) // 2
            self._pause(partition, _PAUSE_AFTER_FAILURE_SECONDS)
            return
        self._most[partition] = 1
        refusals = self._refusals[partition] = self._refusals.get(partition, 0) + 1
        extra["key"] = records[0][0].decode()
        if isinstance(refused.error, _TOO_LARGE) or refusals >= _MOST_REFUSALS:
            _log.error("a record is refused and given up", extra=extra)
            await self._changes.forget(refused.unsent)
            del self._refusals[partition]
            return
        _log.error("a record was refused, trying again", extra=extra)
        self._pause(partition, min(_PAUSE_AFTER_FAILURE_SECONDS * 2 ** (refusals - 1), _LONGEST_PAUSE_SECONDS))

    async def _started(self, partition: int) -> AIOKafkaProducer:
        producer = self._new_producer(partition)
        await start_or_let_go(producer)
        return producer

    async def _send(self, producer: AIOKafkaProducer, partition: int, unsent: Unsent[T]) -> None:
        """Raises `_RefusedError`, and what else Kafka says of a record: a commit would not say it.

        After an error the producer is of no further use: the broker expects another sequence number than its next one.
        """
        async with producer.transaction():
            sends, batch = [], producer.create_batch()
            for key, value in unsent.records:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    sends.append(await producer.send_batch(batch, self._topic, partition=partition))
                    batch = producer.create_batch()
                    # the first record of a batch is taken whatever its size
                    batch.append(key=key, value=value, timestamp=None)
            if batch.record_count():
                sends.append(await producer.send_batch(batch, self._topic, partition=partition))
            try:
                await asyncio.gather(*sends)
            except _REFUSALS as error:
                raise _RefusedError(unsent, error) from error

    async def _drop(self, partition: int) -> None:
        producer = self._producers.pop(partition, None)
        if producer is not None:
            await let_go(producer)
