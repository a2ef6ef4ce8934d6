"""Owns what the projector does with a batch: read it, fold it into the store, and say how the partition goes on."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from events.errors import DecodeError
from projections.errors import FoldError, UnknownEventError
from projections.reading import iterate_events
from projections.store.port import Applied, Fenced, ProjectionStore
from services.runtime.fail_points import fail_point

_LARGE_BATCH = 5_000
_WRONG_SHAPE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What the folds run into where an event's `data` is not what its type says."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broken:
    """The partition can not go on: its log holds what this release can not fold. Trying again reads the same."""

    reason: str


@dataclass(slots=True)
class Folding:
    """Folds batches of any partition; `on_changed` is told the partition whose campaigns changed, here or by another process.

    `on_backlog` is told one that is so far behind that its batches are large.
    A partition that broke stays so until `forget`; `broken` says why, by partition.
    """

    store: ProjectionStore
    on_changed: Callable[[int], None]
    on_backlog: Callable[[int], None] | None = None
    broken: dict[int, str] = field(default_factory=dict)

    async def fold(self, partition: int, start_offset: int, next_offset: int, values: Sequence[bytes | None]) -> Applied | Fenced | Broken:
        """One transaction of the store. What the database raises comes through: the process ends, nothing is skipped."""
        if partition in self.broken:
            return Broken(self.broken[partition])
        try:
            records = iterate_events(values)
            fail_point("projector.before-commit")
            outcome = await self.store.apply(partition, start_offset, next_offset, records)
            fail_point("projector.after-commit")
        except (DecodeError, UnknownEventError, FoldError, *_WRONG_SHAPE) as error:
            reason = f"offsets {start_offset} to {next_offset - 1}: {type(error).__name__}: {error}"
            self.broken[partition] = reason
            _log.exception(
                "the log can not be folded, the partition stands still",
                extra={"action": "fold", "partition": partition, "start": start_offset, "next": next_offset},
            )
            return Broken(reason)
        if self.on_backlog is not None and len(values) >= _LARGE_BATCH:
            self.on_backlog(partition)
        if isinstance(outcome, Fenced) or outcome.changed:
            self.on_changed(partition)
        return outcome

    def forget(self) -> None:
        """After a rebalance every partition is tried again."""
        self.broken.clear()
