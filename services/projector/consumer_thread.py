"""Owns reading the log without a gap: the thread in which aiokafka's consumer runs, and in whose event loop everything here runs."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import faust.transport.drivers.aiokafka as driver
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import NoOffsetForPartitionError
from aiokafka.structs import TopicPartition

from services.projector.batch import Batch
from services.projector.log_reading import MAX_BYTES, MAX_RECORDS, Allowance, take_whole_runs
from services.projector.places import Places
from services.runtime.kafka import check_group, make_consumer, member_id
from services.runtime.letting_go import let_go
from services.runtime.settings import Settings

_FETCH_WAIT_MS = 20
"""A partition that was just drained stays out of the fetch under way, which the broker holds for this long at most."""
_COMMIT_SECONDS = 3.0
_LEFT_OVER_SECONDS = 1.0

_log = logging.getLogger(__name__)


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
        self._places = Places()
        self._allowance = Allowance()
        self._room = (MAX_RECORDS, MAX_BYTES)
        super().__init__(consumer, **options)

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        settings, group_id = self._settings, self._settings.group_id("projector")
        return make_consumer(
            settings,
            group_id=group_id,
            group_instance_id=member_id(settings, group_id, settings.projector_port),
            max_poll_records=MAX_RECORDS,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )

    async def on_thread_stop(self) -> None:
        """Not by Faust's own way, which never ends the thread where aiokafka's `stop` ends as if it were cancelled."""
        if self._consumer is not None:
            await let_go(self._consumer)

    async def _gather_remaining_tasks(self) -> None:
        """Not by mode's own way, which waits without end for a task that takes no cancellation, as its own workers may be."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LEFT_OVER_SECONDS)

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        """Whether it was committed in time. Nothing goes on from the group's offsets, they only tell the lag.

        aiokafka's `commit` tries for ever where the coordinator is away, after its client was closed too, and the thread would never end.
        """
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                return bool(await super()._commit(offsets))
        except TimeoutError:
            _log.warning("a place is not committed yet", extra={"action": "commit"})
            return False

    def allow(self, records: int, size: int) -> None:
        """How much each turn may take from here on, in records and in bytes of values. May be called from any thread."""
        self._room = (records, size)

    def forget_places(self) -> None:
        """Take no records until `place`."""
        self._places.forget()

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The partition's newest epoch; `None` where it has no place. May be asked from any thread."""
        return self._places.epoch_of(partition)

    async def place(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets; partitions that are not assigned are passed over."""
        self._places.place(self._ensure_consumer(), offsets)

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset of each partition's log and the one after its last."""
        consumer, wanted = self._ensure_consumer(), list(partitions)
        first, end = await consumer.beginning_offsets(wanted), await consumer.end_offsets(wanted)
        return {partition: (first[partition], end[partition]) for partition in wanted}

    async def check_group(self) -> None:
        """Raise what keeps this process out of the group: Faust takes records past the place where aiokafka tells it."""
        if self._consumer is not None:
            check_group(self._consumer)

    async def lags(self) -> dict[int, int]:
        """By partition: how many offsets lie between what was read and the newest that the broker told of."""
        consumer = self._ensure_consumer()
        found = {}
        for partition, offset in self._places.offsets():
            highwater = consumer.highwater(partition) if partition in consumer.assignment() else None
            if highwater is not None:
                position = max(offset, await consumer.position(partition))
                found[partition.partition] = max(0, highwater - position)
        return found

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TopicPartition, Batch]:
        self._allowance.renew(*self._room)
        take_whole_runs(consumer, self._allowance)
        try:
            fetching = super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=max_records)
            return await self._places.fetch(consumer, fetching)
        except NoOffsetForPartitionError:
            return {}
