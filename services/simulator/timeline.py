"""Owns what happens when: one heap for all calls, looked at every few milliseconds while there is something on it."""

import asyncio
import heapq
from collections.abc import Callable

from services.runtime.clock import Clock

_TICK_SECONDS = 0.005


class Timeline:
    """Actions at real times, run in the order of their times, those of one time in the order in which they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._filled = asyncio.Event()

    def at(self, due: float, action: Callable[[], None]) -> None:
        """`due` is by the clock's monotonic time; what is past happens with the next look."""
        self._order += 1
        heapq.heappush(self._due, (due, self._order, action))
        self._filled.set()

    def __len__(self) -> int:
        return len(self._due)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._filled.wait()
            self.run_due()
            if not self._due:
                self._filled.clear()
            else:
                await self._clock.sleep(_TICK_SECONDS)

    def run_due(self) -> None:
        """Run what is due by now."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
