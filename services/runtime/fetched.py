"""Owns that what a consumer fetched can be prepared by us before it is taken: aiokafka has no place for that."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

Prepare = Callable[[Any], None]
"""Is given aiokafka's `FetchResult` of a partition, of which nothing has been read yet."""


def prepare_fetched(consumer: AIOKafkaConsumer, prepare: Prepare) -> None:
    """From now on each fetch of the consumer, which was started, is prepared once."""
    fetcher = consumer._fetcher
    if not isinstance(fetcher._records, _Fetched):
        fetcher._records = _Fetched(prepare, fetcher._records)


class _Fetched(OrderedDict[TopicPartition, Any]):
    """What is fetched and not taken yet, by partition: records, or an error."""

    def __init__(self, prepare: Prepare, fetched: Mapping[TopicPartition, Any]) -> None:
        super().__init__()
        self._prepare = prepare
        self.update(fetched)

    def __setitem__(self, partition: TopicPartition, fetched: Any) -> None:
        if getattr(fetched, "_partition_records", None) is not None:
            self._prepare(fetched)
        super().__setitem__(partition, fetched)
