"""Owns what services ask of the read model's store; `SqlProjectionStore` is the one that keeps it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from projections.dial_task.task import DialTask
from projections.engine_snapshot.snapshot import EngineSnapshot
from projections.reading import LogEvent


class ReadModelMismatchError(Exception):
    """The rows were folded by another version of the fold, or from another cluster or topic. Not retriable: `rebuild`."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The batch is in the rows, durably; `changed` counts the campaigns that it changed."""

    next_offset: int
    changed: int


@dataclass(frozen=True, slots=True)
class Fenced:
    """Nothing was written: the batch does not start at the stored offset. Go on from `next_offset`."""

    next_offset: int


class ProjectionStore(Protocol):
    """Rows folded from the log, and for each partition the offset of the first event that is not in them."""

    async def ensure_schema(self) -> None:
        """Create what is missing; idempotent, and safe when several processes start at once."""

    async def check_identity(self, fold_version: int, cluster_id: str, topic_id: str, partitions: int) -> None:
        """Remember each of them on first use; raises `ReadModelMismatchError` when they differ from what is remembered."""

    async def next_offsets(self) -> dict[int, int]:
        """The stored offset of each partition; one that is absent stands at 0."""

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
        """Fold the records, in the log's order, and store `next_offset`, all in one transaction or not at all.

        The records are taken once; they are those of the log from `start_offset` up to, not including, `next_offset`. Raises
        `UnknownEventError` and `FoldError`, both not retriable, the database's own errors, and `ReadModelMismatchError` where the
        rows were rebuilt meanwhile from another log, or by another fold, than `check_identity` was given.
        """

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        """The partition as of its stored offset, read in one transaction."""

    async def dial_tasks(self, call_ids: Iterable[str]) -> dict[str, DialTask]:
        """By call id; a call that the read model does not know (yet, or any more) is left out."""
