"""A partition's publisher tells the newest state last, whoever published before it and whatever fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.errors import KafkaError, ProducerFenced

from services.runtime.publishing import PartitionPublisher, Unsent
from tests.support.clock import ManualClock
from tests.support.eventually import eventually


@dataclass
class Topic:
    """The records that were committed, and who was let in last."""

    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    owner: object = None


@dataclass
class Producer:
    """A transactional producer: starting it fences the one before it."""

    topic: Topic
    on_start: Any = None
    faults: list[Exception] = field(default_factory=list)
    open: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    async def start(self) -> None:
        if self.on_start is not None:
            self.on_start()
        self.topic.owner = self

    async def stop(self) -> None:
        self.open.clear()

    async def send(self, topic: str, value: bytes | None, key: bytes, partition: int) -> None:
        self.open.append((key, value))

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

    async def unsent(self, partition: int) -> Unsent[list[int]] | None:
        return Unsent([(b"key", self.state)], list(self.noted)) if self.noted else None

    async def sent(self, unsent: Unsent[list[int]]) -> None:
        self.noted = [number for number in self.noted if number not in unsent.entries]


@asynccontextmanager
async def publishing(store: Store, *producers: Producer) -> AsyncIterator[PartitionPublisher[list[int]]]:
    waiting: list[Any] = list(producers)
    publisher = PartitionPublisher(store, lambda _: waiting.pop(0), "topic", store.clock)
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
