"""Owns how the dialer's place in the log waits for calls that are looked up, so that a restart begins their looks anew."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from services.dialer.offsets import OffsetTracker
from services.runtime.cancelling import cancel_all
from services.runtime.clock import Clock

HELD_SECONDS = 200.0
"""Longer than the looks at a call take where no provider answers; a place that waited for any number of turns would stop its partition."""


@dataclass(frozen=True, slots=True)
class _Held:
    """The place of a `CallOutcomeUnknown`; it waits until `until` by the monotonic clock."""

    tp: TopicPartition
    tracker: OffsetTracker
    offset: int
    until: float


@dataclass(slots=True)
class LookedUpPlaces:
    """Each waits until its look-up has ended, or for 200 seconds. Meanwhile it counts as the first call that is not dealt with."""

    clock: Clock
    _held: dict[asyncio.Task[None], _Held] = field(default_factory=dict)

    def hold(self, tp: TopicPartition, tracker: OffsetTracker, offset: int, task: "asyncio.Task[None]") -> None:
        """Until `task` ends; where it is cancelled, the place is not done."""
        tracker.begin(offset)
        self._held[task] = _Held(tp, tracker, offset, self.clock.monotonic() + HELD_SECONDS)
        task.add_done_callback(self._ended)

    def release_overdue(self) -> None:
        """Look-ups that take too long go on, and nothing waits for them."""
        now = self.clock.monotonic()
        for task in [task for task, held in self._held.items() if held.until <= now]:
            self._ended(task)

    async def drop(self, tps: Collection[TopicPartition]) -> None:
        """End the look-ups of partitions that are given back: their next owner begins them anew."""
        await cancel_all(task for task, held in self._held.items() if held.tp in tps)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        held = self._held.pop(task, None)
        if held is not None and not task.cancelled():
            held.tracker.done(held.offset)
