"""Owns a clock that stands still until the test moves it."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta


class ManualClock:
    """A `Clock` whose sleepers wake, in order, when `move` takes it past their time."""

    def __init__(self, now: datetime = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)) -> None:
        self._now = now
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._order += 1
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._order, waiter))
        await waiter

    def move(self, **span: float) -> None:
        """Let this `timedelta` pass."""
        delta = timedelta(**span)
        self._now += delta
        self._elapsed += delta.total_seconds()
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            waiter = heapq.heappop(self._sleepers)[2]
            if not waiter.done():
                waiter.set_result(None)
