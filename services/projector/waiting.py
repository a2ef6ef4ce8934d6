"""Owns the batches that were read and wait for their turn: one a partition, which grows by what is read meanwhile."""

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from services.projector.batch import Batch
from services.projector.log_reading import MAX_BYTES, MAX_RECORDS


class _Read(NamedTuple):
    batch: Batch
    size: int


class WaitingBatches:
    """The partition that has waited longest is next, with all that was read of it by then: an event waits once for each other partition.

    Together they are bounded as one batch is.
    """

    def __init__(self) -> None:
        self._read: dict[TopicPartition, list[_Read]] = {}
        self._records = self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._read)

    def room(self) -> tuple[int, int]:
        """How many records, and bytes of values, may be read now; none before it is half of all, since each look at the log costs."""
        records, size = MAX_RECORDS - self._records, MAX_BYTES - self._bytes
        return (records, size) if records >= MAX_RECORDS // 2 and size >= MAX_BYTES // 2 else (0, 0)

    def add(self, batches: Iterable[Batch]) -> None:
        """Each begins where the one of its partition ends that waits; one that was read after a seek makes that one void."""
        for batch in batches:
            before = self._read.get(batch.partition)
            if before is not None and before[0].batch.epoch != batch.epoch:
                self._forget(batch.partition)
            read = _Read(batch, sum([len(value) for value in batch.values if value is not None]))
            self._read.setdefault(batch.partition, []).append(read)
            self._records += len(batch.values)
            self._bytes += read.size

    def take(self) -> Batch:
        """The next; `StopIteration` where none waits."""
        batches = [read.batch for read in self._forget(next(iter(self._read)))]
        if len(batches) == 1:
            return batches[0]
        return batches[-1]._replace(start=batches[0].start, values=[value for batch in batches for value in batch.values])

    def clear(self) -> None:
        self._read.clear()
        self._records = self._bytes = 0

    def _forget(self, partition: TopicPartition) -> list[_Read]:
        read = self._read.pop(partition)
        self._records -= sum([len(batch.values) for batch, _ in read])
        self._bytes -= sum([size for _, size in read])
        return read
