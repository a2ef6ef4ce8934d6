"""Owns waiting until the read model knows an event: one poll for all who wait, none while nobody does."""

import asyncio
from dataclasses import dataclass, field

from projections.queries.read_model import ReadModel, ReadModelAwayError
from services.runtime.clock import Clock

_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.005
"""What is waited for mostly comes within milliseconds, so the first looks follow each other soon."""


@dataclass(slots=True)
class Freshness:
    """Says when the read model's stored offset of a partition has reached an offset."""

    read_model: ReadModel
    clock: Clock
    _waiting: "dict[asyncio.Future[None], tuple[int, int]]" = field(default_factory=dict)
    _poll: "asyncio.Task[None] | None" = None

    async def reached(self, partition: int, next_offset: int) -> None:
        """Return once every event before `next_offset` is in the rows; raises `ReadModelAwayError`. Waits without end otherwise."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = (partition, next_offset)
        if self._poll is None:
            self._poll = asyncio.create_task(self._polling())
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def _polling(self) -> None:
        pause_seconds = _POLL_SECONDS
        try:
            while self._waiting:
                if await self._look():
                    pause_seconds = _POLL_SECONDS
                if self._waiting:
                    await self.clock.sleep(pause_seconds)
                    pause_seconds = min(2 * pause_seconds, _LONGEST_POLL_SECONDS)
        finally:
            self._poll = None

    async def _look(self) -> bool:
        """Whether somebody need not wait any longer."""
        asked = dict(self._waiting)
        try:
            offsets = await self.read_model.next_offsets()
        except ReadModelAwayError as error:
            for waiter in asked:
                if not waiter.done():
                    waiter.set_exception(error)
                self._waiting.pop(waiter, None)
            return True
        for waiter, (partition, next_offset) in asked.items():
            if offsets.get(partition, 0) >= next_offset:
                if not waiter.done():
                    waiter.set_result(None)
                self._waiting.pop(waiter, None)
        return len(self._waiting) < len(asked)
