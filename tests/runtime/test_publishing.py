"""A partition's publisher tells the newest state last, whoever published before it, whatever fails and whatever the broker refuses."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber, ProducerFenced, UnknownError

from events.topics import CAMPAIGN_STATE
from services.runtime.clock import SystemClock
from services.runtime.kafka import make_consumer, make_producer
from services.runtime.publishing import PartitionPublisher, Unsent
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.support.clock import ManualClock
from tests.support.eventually import eventually


@dataclass
class Topic:
    """The records that were committed, what is refused and why, and who was let in last."""

    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    owner: object = None
    refused: dict[bytes, KafkaError] = field(default_factory=dict)


@dataclass
class Batch:
    """At most three records."""

    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    def append(self, key: bytes, value: bytes | None, timestamp: None) -> object:
        if len(self.records) == 3:
            return None
        self.records.append((key, value))
        return self

    def record_count(self) -> int:
        return len(self.records)


@dataclass
class Producer:
    """A transactional producer: starting it fences the one before it. As aiokafka does, it commits what the broker refused."""

    topic: Topic
    on_start: Any = None
    faults: list[Exception] = field(default_factory=list)
    open: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    out_of_order: bool = False

    async def start(self) -> None:
        if self.on_start is not None:
            self.on_start()
        self.topic.owner = self

    async def stop(self) -> None:
        self.open.clear()

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> "asyncio.Future[None]":
        said: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        errors = [error for value, error in self.topic.refused.items() if value in [value for _, value in batch.records]]
        if errors or self.out_of_order:
            self.out_of_order = True
            said.set_exception(errors[0] if errors else OutOfOrderSequenceNumber())
        else:
            self.open += batch.records
            said.set_result(None)
        return said

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.open.clear()
        yield
        if self.faults:
            raise self.faults.pop()
        if self.topic.owner is not self:
            raise ProducerFenced
        self.topic.records += self.open


@dataclass
class Store:
    """The state of one key and the changes that were not told."""

    state: bytes | None = b"dead"
    noted: list[int] = field(default_factory=lambda: [1])
    clock: ManualClock = field(default_factory=ManualClock)

    async def unsent(self, partition: int, most: int | None = None) -> Unsent[list[int]] | None:
        return Unsent([(b"key", self.state)], list(self.noted)) if self.noted else None

    async def sent(self, unsent: Unsent[list[int]]) -> None:
        await self.forget(unsent)

    async def forget(self, unsent: Unsent[list[int]]) -> None:
        self.noted = [number for number in self.noted if number not in unsent.entries]


@dataclass
class Numbered(Store):
    """One key for each change, with the number as its state."""

    told: list[int] = field(default_factory=list)

    async def unsent(self, partition: int, most: int | None = None) -> Unsent[list[int]] | None:
        some = self.noted[:most]
        return Unsent([(b"%d" % number, b"%d" % number) for number in some], some) if some else None

    async def sent(self, unsent: Unsent[list[int]]) -> None:
        self.told += unsent.entries
        await self.forget(unsent)


@asynccontextmanager
async def publishing(store: Store, *producers: Producer, topic: Topic | None = None) -> AsyncIterator[PartitionPublisher[list[int]]]:
    """By these producers, one after the other, or by as many as it takes."""
    waiting: list[Any] = list(producers)
    publisher = PartitionPublisher(store, lambda _: waiting.pop(0) if topic is None else Producer(topic), "topic", store.clock)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(topic: Topic, store: Store) -> list[tuple[bytes, bytes | None]]:
    async def waiting() -> list[int]:
        store.clock.move(seconds=1)
        return store.noted

    await eventually(waiting, lambda noted: not noted)
    return topic.records


async def test_what_was_read_before_the_former_owner_was_fenced_is_read_again() -> None:
    topic, store = Topic(), Store()

    def revived_meanwhile() -> None:
        store.state, store.noted = None, [2]

    async with publishing(store, Producer(topic, revived_meanwhile)) as publisher:
        publisher.own({0})
        assert await told(topic, store) == [(b"key", None)]


@pytest.mark.parametrize("fault", [KafkaError(), ProducerFenced(), OSError()])
async def test_what_could_not_be_sent_is_sent_by_a_new_producer(fault: Exception) -> None:
    topic, store = Topic(), Store()
    async with publishing(store, Producer(topic, faults=[fault]), Producer(topic)) as publisher:
        publisher.own({0})
        assert await told(topic, store) == [(b"key", b"dead")]


async def test_a_partition_that_is_not_owned_is_not_published() -> None:
    topic, store = Topic(), Store()
    async with publishing(store) as publisher:
        publisher.own({1})
        publisher.own(set())
        publisher.wake(0)
        await asyncio.sleep(0)
        assert (topic.records, store.noted) == ([], [1])


async def test_a_partition_that_is_held_back_is_told_a_while_after_it_was_told_last() -> None:
    topic, store = Topic(), Store()
    async with publishing(store, Producer(topic)) as publisher:
        publisher.own({0})
        await told(topic, store)
        publisher.hold_back(0)
        store.state, store.noted = b"newer", [2]
        publisher.wake(0)
        for _ in range(9):
            store.clock.move(seconds=0.1)
            publisher.hold_back(0)
            await asyncio.sleep(0)
        assert len(topic.records) == 1
        assert await told(topic, store) == [(b"key", b"dead"), (b"key", b"newer")]


@pytest.mark.parametrize("error", [MessageSizeTooLargeError(), UnknownError()])
async def test_a_record_that_is_refused_for_ever_is_given_up_and_holds_up_no_other(
    error: KafkaError, caplog: pytest.LogCaptureFixture
) -> None:
    topic, store = Topic(refused={b"4": error}), Numbered(noted=list(range(10)))
    async with publishing(store, topic=topic) as publisher:
        publisher.own({0})
        await told(topic, store)
    others = [number for number in range(10) if number != 4]
    assert sorted(topic.records) == [(b"%d" % number, b"%d" % number) for number in others]
    assert sorted(store.told) == others
    given_up = [record for record in caplog.records if record.levelno == logging.ERROR and "given up" in record.message]
    assert [record.__dict__["key"] for record in given_up] == ["4"]


async def test_a_record_that_the_broker_refuses_for_a_while_is_told_at_last() -> None:
    topic, store = Topic(refused={b"0": UnknownError()}), Numbered(noted=[0])
    async with publishing(store, topic=topic) as publisher:
        publisher.own({0})
        for _ in range(100):
            store.clock.move(seconds=0.2)
            await asyncio.sleep(0)
        assert (topic.records, store.noted) == ([], [0])
        topic.refused.clear()
        assert await told(topic, store) == [(b"0", b"0")]


async def test_a_partition_whose_record_is_refused_holds_up_no_other_partition() -> None:
    topic = Topic(refused={b"bad": UnknownError()})

    @dataclass
    class Two(Store):
        async def unsent(self, partition: int, most: int | None = None) -> Unsent[list[int]] | None:
            state = b"bad" if partition == 0 else b"good"
            return Unsent([(b"key", state)], [partition]) if partition in self.noted else None

    store = Two(noted=[0, 1])
    async with publishing(store, topic=topic) as publisher:
        publisher.own({0, 1})
        for _ in range(20):
            await asyncio.sleep(0)
        assert topic.records == [(b"key", b"good")]
        assert store.noted == [0]


async def test_kafka_itself_refuses_a_record_and_the_others_are_told(settings: Settings) -> None:
    """1.5 MiB that do not compress, on a topic that takes 1 MiB."""
    await ensure_topics(settings)
    topic, large = settings.topic_name(CAMPAIGN_STATE), os.urandom(3 * 512 * 1024)

    @dataclass
    class Large(Numbered):
        async def unsent(self, partition: int, most: int | None = None) -> Unsent[list[int]] | None:
            some = self.noted[:most]
            states = [large if number == 1 else b"small" for number in some]
            return Unsent([(b"%d" % number, state) for number, state in zip(some, states, strict=True)], some) if some else None

    store = Large(noted=[0, 1, 2])
    publisher = PartitionPublisher(store, lambda number: make_producer(settings, transactional_id=f"state-{number}"), topic, SystemClock())
    running = asyncio.create_task(publisher.run())
    publisher.own({0})
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        await eventually(lambda: _noted(store), lambda noted: not noted)
        consumer.assign([tp := TopicPartition(topic, 0)])
        await consumer.seek_to_beginning(tp)
        found = {record.key: record.value for record in (await consumer.getmany(tp, timeout_ms=5_000))[tp]}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await consumer.stop()
    assert found == {b"0": b"small", b"2": b"small"}
    assert sorted(store.told) == [0, 2]


async def _noted(store: Store) -> list[int]:
    return store.noted
