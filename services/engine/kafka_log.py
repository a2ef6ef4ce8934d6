"""Owns the engine's partition log on Kafka: the shared consumer for commands, a transactional producer for everything written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, InvalidTxnState, ProducerFenced
from aiokafka.structs import ConsumerRecord

from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_EVENTS, Topic
from services.engine.ports import Batch, CommandRecord, DeadLetter, FencedError
from services.engine.unreadable import Unreadable
from services.runtime.fail_points import fail_point
from services.runtime.letting_go import let_go

_FENCED = (ProducerFenced, InvalidProducerEpoch, InvalidTxnState)
_REPLAY_RECORDS = 2_000
_STOP_SECONDS = 5.0
_COMMANDS = (CALL_COMMANDS, CAMPAIGN_COMMANDS)
_USERS_BEHIND_CALLS = 5
"""So many commands of users are taken with each batch of calls', so that they go on however many of those there are."""
_LONGEST_REASON_BYTES = 64 * 1024


class ReadModelAheadError(Exception):
    """The read model knows more events than the log holds: it belongs to another log. `rebuild` folds it anew. Not retriable."""


class KafkaPartitionLog:
    """A `PartitionLog`. The consumer is shared by all partitions of the process and must be assigned this one of both topics.

    The transactional id is the only fence: aiokafka commits transactional offsets without the group's generation.
    """

    def __init__(
        self,
        partition: int,
        group_id: str,
        consumer: AIOKafkaConsumer,
        new_producer: Callable[[], AIOKafkaProducer],
        new_reader: Callable[[], AIOKafkaConsumer],
        name_of: Callable[[Topic], str],
        partition_of: Callable[[str], int],
    ) -> None:
        self._partition = partition
        self._group_id = group_id
        self._consumer = consumer
        self._new_producer = new_producer
        self._new_reader = new_reader
        self._name_of = name_of
        self._partition_of = partition_of
        self._producer: AIOKafkaProducer | None = None
        self._tps = {topic: TopicPartition(name_of(topic), partition) for topic in _COMMANDS}
        self._topics = {name_of(topic): topic for topic in _COMMANDS}

    def owns(self, org_id: str) -> bool:
        return self._partition_of(org_id) == self._partition

    def pause(self) -> None:
        self._consumer.pause(*self._tps.values())

    async def fence(self) -> None:
        await self._stop_producer()
        self._producer = self._new_producer()
        await self._producer.start()

    async def committed(self) -> dict[Topic, int]:
        positions = {}
        for topic, tp in self._tps.items():
            offset = await self._consumer.committed(tp)
            if offset is None:
                raise LookupError(f"the group {self._group_id} has no committed offset on {tp.topic}/{tp.partition}")
            positions[topic] = offset
        return positions

    async def replay(self, from_offset: int) -> AsyncIterator[Sequence[bytes | None]]:
        tp = TopicPartition(self._name_of(CAMPAIGN_EVENTS), self._partition)
        reader = self._new_reader()
        await reader.start()
        try:
            reader.assign([tp])
            end = (await reader.end_offsets([tp]))[tp]
            if from_offset > end:
                raise ReadModelAheadError(
                    f"the read model stands at offset {from_offset} of {tp.topic}/{tp.partition}, the log ends at {end}: rebuild it"
                )
            reader.seek(tp, from_offset)
            while await reader.position(tp) < end:
                records = await reader.getmany(tp, timeout_ms=1_000, max_records=_REPLAY_RECORDS)
                yield [record.value for record in records.get(tp, ())]
        finally:
            await let_go(reader)

    def resume(self, positions: dict[Topic, int]) -> None:
        for topic, offset in positions.items():
            self._consumer.seek(self._tps[topic], offset)
        self._consumer.resume(*self._tps.values())

    async def poll(self, timeout_seconds: float, max_records: int) -> list[CommandRecord]:
        calls, users = self._tps[CALL_COMMANDS], self._tps[CAMPAIGN_COMMANDS]
        fetched = await self._consumer.getmany(calls, timeout_ms=0, max_records=max(1, max_records - _USERS_BEHIND_CALLS))
        if not fetched:
            fetched = await self._consumer.getmany(calls, users, timeout_ms=int(timeout_seconds * 1000), max_records=max_records)
        elif room := min(max_records - sum(map(len, fetched.values())), _USERS_BEHIND_CALLS):
            fetched |= await self._consumer.getmany(users, timeout_ms=0, max_records=room)
        in_order = sorted(fetched.items(), key=lambda item: item[0] != calls)
        return [self._command(record) for _, records in in_order for record in records]

    def _command(self, record: "ConsumerRecord[bytes | None, bytes | None] | Unreadable") -> CommandRecord:
        if isinstance(record, Unreadable):
            return CommandRecord(self._topics[record.topic], record.offset, None, None, unreadable_from=record.first_offset)
        return CommandRecord(self._topics[record.topic], record.offset, record.key, record.value, record.headers)

    async def commit(self, batch: Batch) -> None:
        producer = self._producer
        if producer is None:
            raise FencedError(f"partition {self._partition} is not taken over")
        try:
            fail_point("engine.before-commit")
            await producer.begin_transaction()
            sends = await self._send(producer, batch)
            offsets = {self._tps[topic]: offset for topic, offset in batch.positions.items()}
            if offsets:
                await producer.send_offsets_to_transaction(offsets, self._group_id)
            await asyncio.gather(*sends)
            fail_point("engine.inside-transaction")
            await producer.commit_transaction()
            fail_point("engine.after-commit")
        except _FENCED as error:
            raise FencedError(str(error)) from error

    async def _send(self, producer: AIOKafkaProducer, batch: Batch) -> "list[asyncio.Future[object]]":
        sends: list[asyncio.Future[object]] = []
        events = self._name_of(CAMPAIGN_EVENTS)
        builder = producer.create_batch()
        for key, value in batch.events:
            if builder.append(key=key, value=value, timestamp=None) is None:
                sends.append(await producer.send_batch(builder, events, partition=self._partition))
                builder = producer.create_batch()
                if builder.append(key=key, value=value, timestamp=None) is None:
                    raise ValueError("an event is larger than the producer's batch")
        if builder.record_count():
            sends.append(await producer.send_batch(builder, events, partition=self._partition))
        for record, key in batch.forwarded:
            partition = self._partition_of(key.decode())
            sends.append(await producer.send(self._name_of(record.topic), record.value, key, partition, headers=list(record.headers)))
        sends += [await self._send_dead(producer, letter) for letter in batch.dead]
        return sends

    async def _send_dead(self, producer: AIOKafkaProducer, letter: DeadLetter) -> "asyncio.Future[object]":
        record = letter.record
        headers = [
            *record.headers,
            ("reason", letter.reason.encode()[:_LONGEST_REASON_BYTES]),
            ("topic", record.topic.name.encode()),
            ("partition", str(self._partition).encode()),
            ("offset", str(record.offset).encode()),
        ]
        key = record.key if record.key is not None or record.value is not None else b""
        future: asyncio.Future[object] = await producer.send(
            self._name_of(CAMPAIGN_COMMANDS_DEAD), record.value, key, self._partition, headers=headers
        )
        return future

    async def close(self) -> None:
        self.pause_if_assigned()
        await self._stop_producer()

    def pause_if_assigned(self) -> None:
        assigned = [tp for tp in self._tps.values() if tp in self._consumer.assignment()]
        if assigned:
            self._consumer.pause(*assigned)

    async def _stop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await let_go(producer, _STOP_SECONDS)
