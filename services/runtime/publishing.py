"""Owns telling a compacted topic what changed in a store: one transaction at a time for each partition.

A partition's transactional id fences its former owner, so that no older state ever comes after a newer one.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.runtime.clock import Clock
from services.runtime.letting_go import let_go

_INTERVAL_SECONDS = 0.1
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
_HELD_BACK_SECONDS = 5.0
"""Between two transactions of a partition whose changes come faster than anybody needs to be told of each."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unsent(Generic[T]):
    """Keys whose state is not on the topic yet, with that state; no value means that there is none any more. `entries` name the changes."""

    records: list[tuple[bytes, bytes | None]]
    entries: T


class Changes(Protocol[T]):
    """What changed in a store and was not told yet."""

    async def unsent(self, partition: int) -> Unsent[T] | None:
        """Some changes of the partition, with the states as of now; None where there are none."""

    async def sent(self, unsent: Unsent[T]) -> None:
        """Forget these changes, but none that came since; idempotent."""


class PartitionPublisher(Generic[T]):
    """Publishes for the partitions that this process owns; `new_producer` gives one with the transactional id of a partition.

    The store's errors come through `run`; Kafka's are tried again, since the store keeps what was not sent.
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
                due = sorted(partition for partition in dirty if now >= self._held_until.get(partition, 0.0))
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

    async def _let_go(self) -> None:
        for partition in set(self._producers) - self._owned:
            await self._drop(partition)

    async def _publish(self, partition: int) -> None:
        self._told_at[partition] = self._clock.monotonic()
        unsent = await self._changes.unsent(partition)
        if unsent is None:
            return
        try:
            if partition not in self._producers:
                self._producers[partition] = await self._started(partition)
                # what was read before the former owner was fenced may be older than what it has sent
                unsent = await self._changes.unsent(partition)
            if unsent is not None:
                await self._send(self._producers[partition], partition, unsent)
        except (KafkaError, OSError) as error:
            # a fence too: the broker also fences a producer whose transaction it timed out, with no other owner about
            _log.warning("publishing failed, trying again: %s", error, extra={"action": "publish", "partition": partition})
            await self._drop(partition)
            self.wake(partition)
            await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)
            return
        if unsent is not None:
            await self._changes.sent(unsent)
        self.wake(partition)

    async def _started(self, partition: int) -> AIOKafkaProducer:
        producer = self._new_producer(partition)
        try:
            await producer.start()
        except BaseException:
            await let_go(producer)
            raise
        return producer

    async def _send(self, producer: AIOKafkaProducer, partition: int, unsent: Unsent[T]) -> None:
        async with producer.transaction():
            for key, value in unsent.records:
                await producer.send(self._topic, value, key, partition)

    async def _drop(self, partition: int) -> None:
        producer = self._producers.pop(partition, None)
        if producer is not None:
            await let_go(producer)
