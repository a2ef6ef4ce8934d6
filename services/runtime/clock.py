"""Owns time as an argument: services take a `Clock`, so that a test can move it."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Wall time for facts, monotonic time for measuring, and sleep."""

    def now(self) -> datetime:
        """Aware UTC, cut to the millisecond."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return once this many seconds have passed on this clock."""


OFFSET_VARIABLE = "RINGFOLD_CLOCK_OFFSET_FILE"


class SystemClock:
    """The machine's clock. Only for tests: the wall clock is moved by the seconds in the file that RINGFOLD_CLOCK_OFFSET_FILE names."""

    def __init__(self) -> None:
        named = os.environ.get(OFFSET_VARIABLE)
        self._offset_file = Path(named) if named else None

    def now(self) -> datetime:
        now = datetime.now(UTC)
        if self._offset_file is not None:
            now += timedelta(seconds=float(self._offset_file.read_text()))
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
