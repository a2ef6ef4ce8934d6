"""Owns how Faust is fed: its aiokafka transport, made to deliver each fetched run of records as one message.

Stock Faust makes two tasks for each record. Acks, rebalances, generations and flow control stay Faust's own.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import faust.transport.drivers.aiokafka as driver
from aiokafka.structs import TopicPartition
from faust.types.tuples import ConsumerMessage

from services.projector.batch import Batch
from services.projector.consumer_thread import BatchConsumerThread, RebalanceListener
from services.projector.waiting import WaitingBatches

_POLL_SECONDS = 1.0
_POLL_WHILE_WAITING_SECONDS = 0.005
"""Between two looks at the log while batches wait, which grow by what is found: each look is a request to the broker."""


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Goes on from the read model's offsets after every assignment, never from the group's."""

    RebalanceListener = RebalanceListener

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pending: defaultdict[TopicPartition, deque[int]] = defaultdict(deque)
        self._waiting = WaitingBatches()
        self._is_queued = False
        self._read_at = 0.0
        self._changed = asyncio.Event()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, self.app.settings, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TopicPartition, int]:
        """Called by Faust after each assignment, before records flow."""
        offsets = await self.app.starting_offsets(self.assignment())
        await self._thread.call_thread(self._thread.place, offsets)
        return dict(offsets)

    async def rewind(self, partition: TopicPartition, offset: int) -> None:
        """Read the partition anew from the offset; batches that are on their way become void."""
        await self._thread.call_thread(self._thread.place, {partition: offset})

    def is_current(self, batch: Batch) -> bool:
        return bool(self._thread.epoch_of(batch.partition) == batch.epoch)

    async def bounds(self, partitions: set[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        found: dict[TopicPartition, tuple[int, int]] = await self._thread.call_thread(self._thread.bounds, partitions)
        return found

    async def check_group(self) -> None:
        await self._thread.call_thread(self._thread.check_group)

    async def lags(self) -> dict[int, int]:
        found: dict[int, int] = await self._thread.call_thread(self._thread.lags)
        return found

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                    continue
                await self._drain_once()
        except (*self.consumer_stopped_errors, asyncio.CancelledError):
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        """Hand over one batch where the agent's queue is empty, and read on, so that what waits meanwhile is handed over as one."""
        self._changed.clear()
        generation = self.app.consumer_generation_id
        if self._waiting and not self._is_queued:
            await self._hand_over(self._waiting.take(), generation)
        active, (records, size) = set(self._get_active_partitions()), self._waiting.room()
        pause_seconds = self._pause_seconds() if active and records else _POLL_SECONDS
        if pause_seconds > 0:
            await self._until_changed(pause_seconds)
            return
        self._thread.allow(records, size)
        batches = await self._getmany(active_partitions=active, timeout=0 if self._waiting else _POLL_SECONDS)
        self._read_at = self.loop.time()
        if self.flow_active and self.app.consumer_generation_id == generation:
            self._waiting.add(batches.values())

    def _pause_seconds(self) -> float:
        """Until the log is looked at again; at once where nothing waits."""
        since = self.loop.time() - self._read_at
        return max(0.0, _POLL_WHILE_WAITING_SECONDS - since) if self._waiting else 0.0

    def begun(self) -> None:
        """The agent took a batch from its queue."""
        self._is_queued = False
        self._changed.set()

    async def _hand_over(self, batch: Batch, generation: int) -> None:
        topic, number = batch.partition
        message = ConsumerMessage(
            topic=topic,
            partition=number,
            offset=batch.last_offset,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=batch,
            checksum=None,
            tp=batch.partition,
            generation_id=generation,
        )
        self._pending[batch.partition].append(message.offset)
        self._is_queued = True
        await self.wait_first(self.callback(message), self.suspend_flow.wait())

    async def _until_changed(self, timeout_seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_seconds)

    def on_buffer_full(self, tp: TopicPartition) -> None:
        """Faust counts a queue of one as full always; what is read ahead is bounded by what waits."""

    def resume_partitions(self, tps: Any) -> None:
        super().resume_partitions(tps)
        self._changed.set()

    def ack(self, message: Any) -> bool:
        """Work of a former assignment is not acked: its partition may be another process's by now."""
        if message.generation_id != self.app.consumer_generation_id:
            return False
        return bool(super().ack(message))

    def _new_offset(self, tp: TopicPartition) -> int | None:
        pending, acked, last = self._pending[tp], self._acked_index[tp], None
        while pending and pending[0] in acked:
            last = pending.popleft()
            acked.discard(last)
        self._acked[tp].clear()
        return None if last is None else last + 1

    def _forget(self) -> None:
        self._pending.clear()
        self._waiting.clear()
        self._is_queued = False

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self._forget()
        await super().on_partitions_revoked(revoked)
        self.app.on_partitions_lost()

    async def perform_seek(self) -> None:
        self._forget()
        for tp in self._acked_index:
            self._acked_index[tp].clear()
            self._acked[tp].clear()
        await super().perform_seek()

    def verify_event_path(self, now: float, tp: TopicPartition) -> None:
        """Faust's own watch on slow partitions counts by records; ours is the lag, told by `/metrics`."""


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer
