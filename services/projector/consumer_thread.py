"""Owns reading the log without a gap: the thread in which aiokafka's consumer runs, and the place it reads each partition from.

Everything here runs in that thread's event loop, so a seek never falls between taking records and knowing where they begin.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import faust.transport.drivers.aiokafka as driver
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import NoOffsetForPartitionError
from aiokafka.structs import TopicPartition

from services.projector.batch import Batch
from services.runtime.kafka import make_consumer, member_id
from services.runtime.letting_go import let_go
from services.runtime.settings import Settings

MAX_RECORDS = 5_000
"""In one batch, and so in one database transaction."""
_FETCH_WAIT_MS = 20
"""A partition that was just drained stays out of the fetch under way, which the broker holds for this long at most."""


class _Place(NamedTuple):
    epoch: int
    offset: int


class RebalanceListener(driver.ConsumerRebalanceListener):  # type: ignore[misc]
    """Forgets every place before anything else, so that nothing read from the group's offsets ever counts."""

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Any:
        self._thread.forget_places()
        return super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._thread.forget_places()
        await super().on_partitions_assigned(assigned)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with our own consumer, handing out `Batch`es that begin where the last one ended."""

    def __init__(self, consumer: Any, settings: Settings, **options: Any) -> None:
        self._settings = settings
        self._places: dict[TopicPartition, _Place] = {}
        self._epoch = 0
        super().__init__(consumer, **options)

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        return make_consumer(
            self._settings,
            group_id=self._settings.group_id("projector"),
            group_instance_id=member_id(self._settings.group_id("projector"), self._settings.projector_port),
            max_poll_records=MAX_RECORDS,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )

    async def on_thread_stop(self) -> None:
        """Not by Faust's own way, which never ends the thread where aiokafka's `stop` ends as if it were cancelled."""
        if self._consumer is not None:
            await let_go(self._consumer)

    def forget_places(self) -> None:
        """Take no records until `place`."""
        self._places.clear()

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The partition's newest epoch; `None` where it has no place. May be asked from any thread."""
        place = self._places.get(partition)
        return None if place is None else place.epoch

    async def place(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets; partitions that are not assigned are passed over."""
        consumer = self._ensure_consumer()
        self._epoch += 1
        for partition, offset in offsets.items():
            if partition in consumer.assignment():
                consumer.seek(partition, offset)
                self._places[partition] = _Place(self._epoch, offset)

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset of each partition's log and the one after its last."""
        consumer, wanted = self._ensure_consumer(), list(partitions)
        first, end = await consumer.beginning_offsets(wanted), await consumer.end_offsets(wanted)
        return {partition: (first[partition], end[partition]) for partition in wanted}

    async def lags(self) -> dict[int, int]:
        """By partition: how many offsets lie between what was read and the newest that the broker told of."""
        consumer = self._ensure_consumer()
        found = {}
        for partition, place in list(self._places.items()):
            highwater = consumer.highwater(partition) if partition in consumer.assignment() else None
            if highwater is not None:
                position = max(place.offset, await consumer.position(partition))
                found[partition.partition] = max(0, highwater - position)
        return found

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TopicPartition, Batch]:
        before = dict(self._places)
        try:
            fetched = await super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=max_records)
        except NoOffsetForPartitionError:
            return {}
        batches = {}
        for partition, records in fetched.items():
            place, now = before.get(partition), self._places.get(partition)
            if place is not None and now == place:
                next_offset = max(await consumer.position(partition), records[-1].offset + 1)
                batches[partition] = Batch(partition, place.epoch, place.offset, next_offset, records)
                self._places[partition] = _Place(place.epoch, next_offset)
            elif now is not None:
                consumer.seek(partition, now.offset)
        return batches
