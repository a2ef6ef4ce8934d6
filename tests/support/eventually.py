"""Owns waiting for what must come true: with a deadline, and with what was seen last when it did not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], holds: Callable[[T], bool] = bool, seconds: float = 20.0) -> T:
    """What `look` gives once it `holds`; an assertion with the last look where it does not within `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s; last seen: {seen!r}"
        await asyncio.sleep(0.02)
