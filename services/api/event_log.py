"""Owns the API's reading of the events topic: followed from its end by all that wait, and read again where an answer needs it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.api.expectations import Expectations
from services.runtime.clock import Clock
from services.runtime.letting_go import let_go

_POLL_MS = 500
_AGAIN_SECONDS = 0.5
_RECORDS = 2_000

_log = logging.getLogger(__name__)


class LogAwayError(Exception):
    """The events can not be read now. Retriable."""


class EventLog(Protocol):
    """The events topic, as far as the API reads it."""

    @property
    def is_followed(self) -> bool:
        """Whether every event appended from now on will be seen by who expects it."""

    def between(self, partition: int, first_offset: int, next_offset: int) -> AsyncIterator[bytes]:
        """The committed events from `first_offset` up to, not including, `next_offset`; raises `LogAwayError`."""


class KafkaEventLog:
    """An `EventLog`. Following takes no group: it goes on where it was after any failure, and starts at the end."""

    def __init__(
        self, new_consumer: Callable[[], AIOKafkaConsumer], topic: str, partitions: int, expectations: Expectations, clock: Clock
    ) -> None:
        self._new_consumer = new_consumer
        self._topic = topic
        self._tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._expectations = expectations
        self._clock = clock
        self._positions: dict[TopicPartition, int] = {}
        self._followed = asyncio.Event()

    @property
    def is_followed(self) -> bool:
        return self._followed.is_set()

    async def until_followed(self) -> None:
        await self._followed.wait()

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                _log.warning("the events can not be followed: %s", type(error).__name__, extra={"action": "follow-again"})
                await self._clock.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        consumer = self._new_consumer()
        try:
            await consumer.start()
            consumer.assign(self._tps)
            self._positions |= await consumer.end_offsets([tp for tp in self._tps if tp not in self._positions])
            for tp, offset in self._positions.items():
                consumer.seek(tp, offset)
            self._followed.set()
            while True:
                fetched = await consumer.getmany(timeout_ms=_POLL_MS)
                self._expectations.pause({tp.partition for tp in self._tps if tp in fetched or await _has_more(consumer, tp)})
                for tp, records in fetched.items():
                    self._positions[tp] = records[-1].offset + 1
                    stable_offset = consumer.last_stable_offset(tp)
                    # the marker that commits a transaction takes an offset too
                    caught_up = stable_offset is None or stable_offset <= self._positions[tp] + 1
                    self._expectations.read(tp.partition, [(record.offset, record.value) for record in records], caught_up)
        finally:
            await let_go(consumer)

    async def between(self, partition: int, first_offset: int, next_offset: int) -> AsyncIterator[bytes]:
        tp = TopicPartition(self._topic, partition)
        consumer = self._new_consumer()
        try:
            await consumer.start()
            consumer.assign([tp])
            consumer.seek(tp, first_offset)
            while await consumer.position(tp) < next_offset:
                for record in (await consumer.getmany(tp, timeout_ms=1_000, max_records=_RECORDS)).get(tp, ()):
                    if record.offset >= next_offset:
                        return
                    yield record.value
        except (KafkaError, OSError) as error:
            raise LogAwayError("the events can not be read now") from error
        finally:
            await let_go(consumer)


async def _has_more(consumer: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    """Whether the partition holds committed events that were not taken yet: others had the turn, or the room in the fetch."""
    stable_offset = consumer.last_stable_offset(tp)
    return stable_offset is not None and bool(await consumer.position(tp) < stable_offset)
