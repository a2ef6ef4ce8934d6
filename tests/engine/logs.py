"""Owns the worlds in which a `PartitionLog` is tested: one in memory, one on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from aiokafka import AIOKafkaProducer, TopicPartition

from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_EVENTS, Topic
from services.engine.kafka_log import KafkaPartitionLog
from services.engine.ports import Batch, CommandRecord, DeadLetter, FencedError, PartitionLog
from services.runtime.kafka import make_consumer, make_producer, partition_of
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics

PARTITION = 0


class LogWorld(Protocol):
    """One partition of a log, seen from outside."""

    async def new_owner(self) -> PartitionLog:
        """Another process that may take the partition over."""

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = b"org-1") -> None:
        """A command arrives on the partition."""

    async def events(self) -> list[bytes | None]:
        """The committed events."""

    async def dead(self) -> list[tuple[bytes | None, dict[str, bytes]]]:
        """The committed dead letters: value and headers."""

    def org_of(self, partition: int) -> str:
        """An org whose records belong on the partition."""


@dataclass
class MemoryLog:
    """The partition in memory; owners of an older epoch are fenced."""

    epoch: int = 0
    committed_events: list[bytes | None] = field(default_factory=list)
    commands: dict[Topic, list[CommandRecord]] = field(default_factory=lambda: {CALL_COMMANDS: [], CAMPAIGN_COMMANDS: []})
    positions: dict[Topic, int] = field(default_factory=lambda: {CALL_COMMANDS: 0, CAMPAIGN_COMMANDS: 0})
    letters: list[DeadLetter] = field(default_factory=list)
    forwarded: list[tuple[CommandRecord, bytes]] = field(default_factory=list)

    async def new_owner(self) -> PartitionLog:
        return MemoryOwner(self)

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = b"org-1") -> None:
        records = self.commands[topic]
        records.append(CommandRecord(topic, len(records), key, value))

    async def events(self) -> list[bytes | None]:
        return list(self.committed_events)

    async def dead(self) -> list[tuple[bytes | None, dict[str, bytes]]]:
        return [
            (
                letter.record.value,
                {
                    "reason": letter.reason.encode(),
                    "topic": letter.record.topic.name.encode(),
                    "partition": b"0",
                    "offset": str(letter.record.offset).encode(),
                },
            )
            for letter in self.letters
        ]

    def org_of(self, partition: int) -> str:
        return f"org-of-{partition}"


@dataclass
class MemoryOwner:
    """A `PartitionLog` on a `MemoryLog`."""

    log: MemoryLog
    epoch: int = -1
    next: dict[Topic, int] | None = None

    def owns(self, org_id: str) -> bool:
        return not org_id.startswith("org-of-") or org_id == f"org-of-{PARTITION}"

    def pause(self) -> None:
        self.next = None

    async def fence(self) -> None:
        self.log.epoch += 1
        self.epoch = self.log.epoch

    async def committed(self) -> dict[Topic, int]:
        return dict(self.log.positions)

    async def replay(self, from_offset: int) -> AsyncIterator[Sequence[bytes | None]]:
        yield self.log.committed_events[from_offset:]

    def resume(self, positions: dict[Topic, int]) -> None:
        self.next = dict(positions)

    async def poll(self, timeout_seconds: float, max_records: int) -> list[CommandRecord]:
        found: list[CommandRecord] = []
        for topic, most in ((CALL_COMMANDS, max(1, max_records - 1)), (CAMPAIGN_COMMANDS, max_records)):
            if self.next is not None:
                found += self.log.commands[topic][self.next[topic] :][: most - len(found)]
        if not found:
            await asyncio.sleep(min(timeout_seconds, 0.01))
        for record in found:
            if self.next is not None:
                self.next[record.topic] = record.offset + 1
        return found

    async def commit(self, batch: Batch) -> None:
        if self.epoch != self.log.epoch:
            raise FencedError("a newer owner exists")
        self.log.committed_events += [value for _, value in batch.events]
        self.log.letters += batch.dead
        self.log.forwarded += batch.forwarded
        self.log.positions |= batch.positions

    async def close(self) -> None:
        self.next = None


@dataclass
class KafkaLog:
    """The partition on a real Kafka; every owner has a consumer of its own, as a process has."""

    settings: Settings
    stack: AsyncExitStack
    producer: AIOKafkaProducer

    @classmethod
    async def start(cls, settings: Settings, stack: AsyncExitStack) -> "KafkaLog":
        await ensure_topics(settings)
        producer = make_producer(settings)
        await producer.start()
        stack.push_async_callback(producer.stop)
        return cls(settings, stack, producer)

    async def new_owner(self) -> PartitionLog:
        settings, group_id = self.settings, self.settings.group_id("engine")
        consumer = make_consumer(settings, group_id=group_id)
        await consumer.start()
        self.stack.push_async_callback(consumer.stop)
        consumer.assign([TopicPartition(settings.topic_name(topic), PARTITION) for topic in (CALL_COMMANDS, CAMPAIGN_COMMANDS)])
        owner = KafkaPartitionLog(
            partition=PARTITION,
            group_id=group_id,
            consumer=consumer,
            new_producer=lambda: make_producer(settings, transactional_id=f"engine-{PARTITION}"),
            new_reader=lambda: make_consumer(settings),
            name_of=settings.topic_name,
            partition_of=self._partition_of,
        )
        self.stack.push_async_callback(owner.close)
        return owner

    def _partition_of(self, org_id: str) -> int:
        return PARTITION if org_id == "org-1" else partition_of(org_id, self.settings.topic_partitions)

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = b"org-1") -> None:
        await self.producer.send_and_wait(self.settings.topic_name(topic), value, key, PARTITION)

    async def events(self) -> list[bytes | None]:
        return [value for value, _ in await self.read(CAMPAIGN_EVENTS)]

    async def dead(self) -> list[tuple[bytes | None, dict[str, bytes]]]:
        return await self.read(CAMPAIGN_COMMANDS_DEAD)

    async def read(self, topic: Topic, partition: int = PARTITION) -> list[tuple[bytes | None, dict[str, bytes]]]:
        """Everything committed on the topic's partition."""
        consumer = make_consumer(self.settings)
        await consumer.start()
        try:
            tp = TopicPartition(self.settings.topic_name(topic), partition)
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            consumer.seek(tp, 0)
            found: list[tuple[bytes | None, dict[str, bytes]]] = []
            while await consumer.position(tp) < end:
                records = (await consumer.getmany(tp, timeout_ms=500)).get(tp, ())
                found += [(record.value, dict(record.headers)) for record in records]
            return found
        finally:
            await consumer.stop()

    def org_of(self, partition: int) -> str:
        return next(f"o{n}" for n in range(1_000) if partition_of(f"o{n}", self.settings.topic_partitions) == partition)
