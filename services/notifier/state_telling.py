"""Owns that `webhook-state` keeps telling the truth of the store, a store that is new or was lost among them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.notifier.state_changes import StateChanges
from services.runtime.clock import Clock
from services.runtime.letting_go import let_go
from services.runtime.publishing import PartitionPublisher

_LOOK_SECONDS = 1.0
"""How long at most until it is told what another process changed."""
_POLL_MS = 500
_RECORDS = 1_000


@dataclass(slots=True)
class StateTeller:
    """Publishes for the partitions that the notifier has, and before that corrects what an earlier store said there."""

    changes: StateChanges
    publisher: PartitionPublisher[list[int]]
    new_consumer: Callable[[], AIOKafkaConsumer]
    topic: str
    partitions: Callable[[], set[int]]
    clock: Clock
    _told: set[int] = field(default_factory=set)

    def wake(self, partition: int) -> None:
        """Something changed in the partition."""
        self.publisher.wake(partition)

    async def doubt(self, partition: int) -> None:
        """The store went back in time: what it told since stands on the topic, and it knows nothing of that."""
        await self.changes.forget_told(partition)
        self._told.discard(partition)

    async def watch(self) -> None:
        """Until cancelled; raises what the store and Kafka raise. What another process changed is noticed within a second."""
        while True:
            partitions = self.partitions()
            for partition in sorted(partitions - self._told):
                await self._reconcile(partition)
            self.publisher.own(partitions)
            await self.clock.sleep(_LOOK_SECONDS)

    async def _reconcile(self, partition: int) -> None:
        if not await self.changes.is_told(partition):
            await self._note_what_the_topic_holds(TopicPartition(self.topic, partition))
            await self.changes.note_all(partition)
        self._told.add(partition)

    async def _note_what_the_topic_holds(self, tp: TopicPartition) -> None:
        consumer = self.new_consumer()
        try:
            await consumer.start()
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            await consumer.seek_to_beginning(tp)
            while await consumer.position(tp) < end:
                records = (await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_RECORDS)).get(tp, ())
                keys = {record.key.decode() for record in records if record.value is not None}
                if keys:
                    await self.changes.note(tp.partition, sorted(keys))
        finally:
            await let_go(consumer)
