"""Owns which partitions this process runs: one task for each that the group assigns to it, started and stopped with the assignment."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from services.engine.partition import PartitionEngine

_STOP_SECONDS = 8.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Workers(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """The partitions' tasks. The callbacks only pause, stop and start tasks: what can fail happens in the tasks.

    aiokafka swallows what a callback raises, so nothing is decided here; a task that fails, or is fenced, sets `failed`. The
    process then ends: the broker also fences a producer whose transaction it timed out, with no other owner about, and only
    a process that joins the group anew is sure to get an assignment.
    """

    consumer: AIOKafkaConsumer
    new_engine: Callable[[int], PartitionEngine]
    failed: "asyncio.Future[bool]"
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    assigned: bool = False
    """Whether this process has a place in the group, be it one without partitions."""

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Stop every task: under the eager protocol all partitions are given back before new ones are assigned."""
        self.assigned = False
        await self.stop()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.assigned = True
        tps = set(assigned)
        if tps:
            self.consumer.pause(*tps)
        for partition in sorted({tp.partition for tp in tps}):
            task = asyncio.create_task(self.new_engine(partition).run(), name=f"partition-{partition}")
            task.add_done_callback(self._done)
            self.tasks[partition] = task

    def _done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None and not self.failed.done():
            self.failed.set_exception(task.exception() or RuntimeError(task.get_name()))

    async def stop(self) -> None:
        """Cancel the tasks and wait for them; a transaction cut off here is aborted by the partition's next owner."""
        tasks, self.tasks = list(self.tasks.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            for task in late:
                _log.warning("did not stop in time", extra={"action": "stop", "task": task.get_name()})
