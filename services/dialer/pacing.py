"""Owns how many calls a second go to a provider: never more than it is configured for, and fewer after it said that they were too many."""

import asyncio
from collections import deque
from collections.abc import Callable

from services.runtime.clock import Clock

_WINDOW_SECONDS = 1.0
_SLOWEST_PER_SECOND = 1.0
_SLICE_SECONDS = 0.25
_RECOVERY_PER_SECOND = 0.1
_FAST_AGAIN_PER_SECOND = 1_000.0


class Pacing:
    """Gives turns in the order in which they are asked for. `most_per_second` is of this process; `None`: without a limit."""

    def __init__(self, clock: Clock, most_per_second: float | None = None) -> None:
        self._clock = clock
        self._most = most_per_second
        self._rate = most_per_second
        self._next_at = 0.0
        self._given: deque[float] = deque()
        self._turn = asyncio.Lock()
        self._ended = False

    @property
    def per_second(self) -> float | None:
        """What is given now at most."""
        return self._rate

    async def turn(self, hindrance: Callable[[], str | None] = lambda: None) -> str | None:
        """Return `None` when a call may go, or what hinders it by the time that it is the next.

        Hindered or cancelled, it takes no turn away: otherwise those that came too late would let those behind them come too late for ever.
        """
        async with self._turn:
            while (why := hindrance()) is None and (wait := self._wait_seconds()) > 0:
                await self._clock.sleep(min(wait, _SLICE_SECONDS))
            if why is not None:
                return why
            now = self._clock.monotonic()
            self._next_at = now + (1 / self._rate if self._rate else 0)
            self._given.append(now)
            while self._given[0] < now - _WINDOW_SECONDS:
                self._given.popleft()
            return None

    def _wait_seconds(self) -> float:
        return 0.0 if self._ended or self._rate is None else self._next_at - self._clock.monotonic()

    def slow_down(self) -> None:
        """The provider had too many: half of what it was given, but one a second."""
        rate = min(float(len(self._given)), self._rate or _FAST_AGAIN_PER_SECOND)
        self._rate = min(max(rate / 2, _SLOWEST_PER_SECOND), self._most or _FAST_AGAIN_PER_SECOND)

    def taken(self) -> None:
        """The provider took a call: a tenth faster each second, up to where it began."""
        if self._rate is None or self._rate == self._most:
            return
        # a second holds about as many of these as the rate says
        faster = self._rate + max(_SLOWEST_PER_SECOND, _RECOVERY_PER_SECOND * self._rate) / self._rate
        if self._most is not None:
            self._rate = min(faster, self._most)
        else:
            self._rate = faster if faster < _FAST_AGAIN_PER_SECOND else None

    def end(self) -> None:
        """Whoever waits goes on at once, since nothing is sent any more."""
        self._ended = True
