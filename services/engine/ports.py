"""Owns what the engine's loop needs from outside: one partition of the log, and a snapshot to start its state from."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from events.topics import Topic
from projections.engine_snapshot.snapshot import EngineSnapshot

_HEADER_BYTES = 10
"""The lengths of a header's name and value, at most."""


class FencedError(Exception):
    """Another process took the partition over: this one must not write it any more, until it is assigned anew. Not retriable."""


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A record of one of the two commands topics, as read."""

    topic: Topic
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    unreadable_from: int | None = None
    """Where the record could not be parsed: it stands for all from this offset to its own."""

    @property
    def size_bytes(self) -> int:
        """At least what it takes to write it again, uncompressed, beside what every record takes."""
        headers = sum(_HEADER_BYTES + len(name.encode()) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A command that could not be handled, and why; `reason` holds no personal data. Of one too large `record` holds no value."""

    record: CommandRecord
    reason: str


@dataclass(slots=True)
class Batch:
    """What one transaction holds: events in order, forwarded and dead commands, and the commands' next offsets by topic."""

    events: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Key and value."""
    forwarded: list[tuple[CommandRecord, bytes]] = field(default_factory=list)
    """The record and its org's key, which decides its partition."""
    dead: list[DeadLetter] = field(default_factory=list)
    positions: dict[Topic, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.events or self.positions)


class PartitionLog(Protocol):
    """One partition of the commands and of the events. The methods of a take-over are called in the order in which they stand here.

    Every method may raise `FencedError`; any other exception says that what happened is not known.
    """

    def owns(self, org_id: str) -> bool:
        """Whether the org's records belong on this partition."""

    def pause(self) -> None:
        """Fetch no commands until `resume`."""

    async def fence(self) -> None:
        """Shut every former owner out and abort what it left open."""

    async def committed(self) -> dict[Topic, int]:
        """The next offset to handle of each commands topic; only asked after `fence`, so that no former owner can move it."""

    def replay(self, from_offset: int) -> AsyncIterator[Sequence[bytes | None]]:
        """The values of the events from the offset to the end of what is committed, in order, in batches.

        Raises `ReadModelAheadError` where the offset lies beyond the log's end.
        """

    def resume(self, positions: dict[Topic, int]) -> None:
        """Fetch commands from these offsets on."""

    async def poll(self, timeout_seconds: float, max_records: int) -> list[CommandRecord]:
        """The next commands, each topic in order. Empty when none came in time.

        Those on `call-commands` come first, and behind them, where more than one record may come, some of the others that are there.
        """

    async def commit(self, batch: Batch) -> None:
        """Write the batch and its positions in one transaction: all of it or nothing."""

    async def close(self) -> None:
        """Let go of the partition; what is not committed is aborted by its next owner."""


class Snapshots(Protocol):
    """Where the engine's state starts from."""

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        """What the read model knows of the partition, and the log offset up to which it holds true, read in one transaction."""
