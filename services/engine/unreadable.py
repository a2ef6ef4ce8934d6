"""Owns that a record which aiokafka can't parse stops nothing: the rest of its batch is read as one record that says so.

A header's name must be UTF-8 by Kafka's protocol, and its broker does not check. aiokafka parses a batch from its start wherever it
is read from, so that what stands behind such a record in the same batch, of the same producer, is out of reach too.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from services.runtime.fetched import prepare_fetched


class Unreadable(NamedTuple):
    """Stands for the records of a batch from `first_offset` to `offset`, its last; `topic` is named as on the broker."""

    topic: str
    first_offset: int
    offset: int


def read_past_unreadable(consumer: AIOKafkaConsumer) -> None:
    """From now on the consumer, which was started, gives an `Unreadable` where it would raise `UnicodeDecodeError` for ever."""
    prepare_fetched(consumer, _prepare)


def _prepare(fetched: Any) -> None:
    records = fetched._partition_records
    records._records = _Batches(records._records)
    records._consumer_record = partial(_consumer_record, records._consumer_record)


def _consumer_record(of_kafka: Any, partition: TopicPartition, record: Any) -> Any:
    return record._replace(topic=partition.topic) if isinstance(record, Unreadable) else of_kafka(partition, record)


class _Batches:
    """The fetched record batches."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        return _Batch(self._batches.next_batch())


class _Batch:
    """aiokafka asks it what it asks a record batch."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        first = self._batch.base_offset
        try:
            for record in self._batch:
                first = record.offset + 1
                yield record
        except UnicodeDecodeError:
            yield Unreadable("", first, self._batch.next_offset - 1)
