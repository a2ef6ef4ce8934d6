"""Owns what is read of a contestant's processes at its first event and when all is durable."""

import time
from collections.abc import Sequence

from tests.bench.environment import cpu_seconds, peak_bytes
from tests.bench.folding.contestant import Measured


class Meter:
    """Begins when it is made."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._cpu = self._cpu_seconds()
        self._began = time.monotonic()

    def _cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in self._pids)

    def stop(self, events: int) -> Measured:
        """What it cost so far; the digest is not known yet."""
        wall = time.monotonic() - self._began
        # a clock of 10 ms may not have ticked
        cpu = max(0.01, self._cpu_seconds() - self._cpu)
        return Measured(events, cpu, wall, sum(peak_bytes(pid) for pid in self._pids), "")
