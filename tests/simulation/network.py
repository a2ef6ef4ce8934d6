"""Owns what lies between a process and everything outside it: time that passes, requests and answers that are lost, cuts."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.simulation.loop import Life, SimulatedLoop

_FASTEST_SECONDS = 0.001
_USUAL_SECONDS = 0.02
_SLOW_SECONDS = 1.5


class UnreachableError(ConnectionError):
    """Nothing is known of what became of the request."""


class Network:
    """`slow`: the share of requests that take up to 1.5 seconds; `lossy`: the share of answers that never come."""

    def __init__(self, loop: SimulatedLoop, random: Random) -> None:
        self.loop = loop
        self.slow = 0.0
        self.lossy = 0.0
        self.cuts: Counter[tuple[str, str]] = Counter()
        """By process and place; several faults may cut the same."""
        self._random = random

    def delay(self) -> float:
        draw = self._random.random()
        if self.slow and self._random.random() < self.slow:
            return _USUAL_SECONDS + draw * _SLOW_SECONDS
        return _FASTEST_SECONDS + draw * draw * _USUAL_SECONDS

    def loses(self) -> bool:
        return self.lossy > 0 and self._random.random() < self.lossy

    def is_cut(self, process: str, place: str) -> bool:
        return bool(self.cuts) and (self.cuts[process, place] > 0 or self.cuts["*", place] > 0)

    async def call(self, life: Life, place: str, work: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Have the work done there, at once, at some moment from now until the answer; raises `UnreachableError`."""
        if not life.alive:
            raise asyncio.CancelledError
        delay = self.delay()
        if self.is_cut(life.name, place):
            await self.loop.sleep(1.0 + delay)
            raise UnreachableError(f"{place} is cut off")
        before = self._random.random() < 0.5
        if before:
            await self.loop.sleep(delay)
        result = await work(*arguments)
        if not before:
            await self.loop.sleep(delay)
        if self.is_cut(life.name, place) or self.loses():
            raise UnreachableError(f"the answer of {place} is lost")
        return result


class Remote:
    """Anything whose methods are reached over the network by one process life."""

    def __init__(self, target: Any, network: Network, life: Life, place: str) -> None:
        self._target, self._network, self._life, self._place = target, network, life, place

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        work = getattr(self._target, name)

        async def reached(*arguments: Any) -> Any:
            return await self._network.call(self._life, self._place, work, *arguments)

        setattr(self, name, reached)
        return reached
