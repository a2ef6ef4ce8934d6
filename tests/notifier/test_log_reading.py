"""Where the notifier reads on: at its store's place, and what it does when that is older than what the group has read."""

from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import CollectorRegistry

from services.notifier.log_reading import LogReader
from services.notifier.memory_store import MemoryNotifierStore
from services.notifier.metrics import NotifierMetrics
from tests.notifier.given import NOW
from tests.support.clock import ManualClock

_LOG = TopicPartition("campaign-events", 0)


class ConsumerByHand:
    """Of one partition with nothing to read; the group's place is in hand."""

    def __init__(self, committed: int | None) -> None:
        self._committed = committed
        self.sought: list[int] = []

    def assignment(self) -> set[TopicPartition]:
        return {_LOG}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 100)

    async def committed(self, partition: TopicPartition) -> int | None:
        return self._committed

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append(offset)


@pytest.mark.parametrize(("committed", "went_back"), [(None, []), (40, []), (41, [0])])
async def test_a_store_that_is_older_than_what_the_group_has_read_went_back(committed: int | None, went_back: list[int]) -> None:
    store, consumer, told = MemoryNotifierStore(), ConsumerByHand(committed), list[int]()
    await store.place(0, NOW, 60)
    await store.take_in(0, 0, 40, [], NOW)

    async def on_store_went_back(partition: int) -> None:
        assert consumer.sought == []
        told.append(partition)

    metrics: Any = NotifierMetrics(CollectorRegistry())
    reader = LogReader(cast(AIOKafkaConsumer, consumer), store, ManualClock(), 60, lambda: None, on_store_went_back, metrics)
    await reader._find_places()
    assert (told, consumer.sought, reader.partitions()) == (went_back, [40], {0})
