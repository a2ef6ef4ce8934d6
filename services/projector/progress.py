"""Owns how far each partition is folded: where it starts, and what becomes of a batch that was read."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiokafka.structs import TopicPartition

from projections.store.port import Fenced, ProjectionStore
from services.projector.batch import Batch
from services.projector.folding import Broken, Folding
from services.projector.metrics import ProjectorMetrics

_log = logging.getLogger(__name__)


class LogMismatchError(Exception):
    """The log does not hold what the read model goes on from: it was cut off, or is another log. Not retriable: `rebuild`."""


class Reading(Protocol):
    """The reading of the log, as far as folding steers it."""

    def is_current(self, batch: Batch) -> bool:
        """Whether nothing was placed anew since the batch was read."""

    def pause_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        """Read these no further."""

    async def rewind(self, partition: TopicPartition, offset: int) -> None:
        """Read the partition anew from the offset; batches that are on their way become void."""

    async def bounds(self, partitions: set[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        """The first offset of each partition's log and the one after its last."""


@dataclass(slots=True)
class FoldProgress:
    """The store's offsets alone say where to go on, never the group's."""

    store: ProjectionStore
    folding: Folding
    metrics: ProjectorMetrics

    async def starting_offsets(self, assignment: set[TopicPartition], reading: Reading) -> dict[TopicPartition, int]:
        """What the read model says; raises `LogMismatchError` where the log does not reach from there on."""
        stored = await self.store.next_offsets()
        offsets = {partition: stored.get(partition.partition, 0) for partition in assignment}
        for partition, (first, end) in (await reading.bounds(assignment)).items():
            if not first <= offsets[partition] <= end:
                raise LogMismatchError(
                    f"the read model goes on from offset {offsets[partition]} of {partition.topic}/{partition.partition}, whose log "
                    f"holds {first} to {end}: run `python -m services.projector rebuild`"
                )
        self.folding.forget()
        return offsets

    async def fold(self, batch: Batch, reading: Reading) -> bool:
        """Whether the batch is in the read model; one that is not is void or will be read again."""
        if not reading.is_current(batch):
            return False
        partition = batch.partition.partition
        with self.metrics.batch_seconds.time():
            outcome = await self.folding.fold(partition, batch.start, batch.next_offset, batch.values)
        if isinstance(outcome, Broken):
            reading.pause_partitions({batch.partition})
            return False
        if isinstance(outcome, Fenced):
            _log.warning(
                "another process wrote the partition, going on from there",
                extra={"action": "fenced", "partition": partition, "start": batch.start, "stored": outcome.next_offset},
            )
            await reading.rewind(batch.partition, outcome.next_offset)
            return False
        self.metrics.folded(partition, len(batch.values), outcome.next_offset)
        return True
