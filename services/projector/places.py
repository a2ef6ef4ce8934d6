"""Owns the place from which each partition is read, so that a batch always begins where the last one ended, and void ones are known."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from services.projector.batch import Batch
from services.projector.log_reading import Run

Fetched = Mapping[TopicPartition, Sequence[Run]]


class _Place(NamedTuple):
    epoch: int
    offset: int


class Places:
    """Of one consumer, and used in its event loop only, so that a seek never falls between taking records and knowing where they begin.

    What the consumer reads of a partition without a place is nobody's: its position may come from the group's offsets.
    """

    def __init__(self) -> None:
        self._places: dict[TopicPartition, _Place] = {}
        self._epoch = 0

    def forget(self) -> None:
        """Take no records until `place`."""
        self._places.clear()

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """The partition's newest epoch; `None` where it has no place. May be asked from any thread."""
        place = self._places.get(partition)
        return None if place is None else place.epoch

    def offsets(self) -> Iterator[tuple[TopicPartition, int]]:
        """Where each partition is read on from."""
        return iter([(partition, place.offset) for partition, place in self._places.items()])

    def place(self, consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets; partitions that are not assigned are passed over."""
        self._epoch += 1
        for partition, offset in offsets.items():
            if partition in consumer.assignment():
                consumer.seek(partition, offset)
                self._places[partition] = _Place(self._epoch, offset)

    async def fetch(self, consumer: AIOKafkaConsumer, fetching: Awaitable[Fetched]) -> dict[TopicPartition, Batch]:
        """What `fetching` takes, as batches; what there is of a partition that was placed anew meanwhile is read again from there."""
        before = dict(self._places)
        batches = {}
        for partition, runs in (await fetching).items():
            place, now = before.get(partition), self._places.get(partition)
            if place is not None and now == place:
                last_offset = runs[-1].offset
                next_offset = max(await consumer.position(partition), last_offset + 1)
                values = [value for run in runs for value in run.values]
                batches[partition] = Batch(partition, place.epoch, place.offset, next_offset, last_offset, values)
                self._places[partition] = _Place(place.epoch, next_offset)
            elif now is not None:
                consumer.seek(partition, now.offset)
        return batches
