"""Owns where a section of the benchmark runs, and what it measures a process with: CPU and peak memory out of /proc, and medians."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

RESULTS = Path(".data/bench")
"""Reports, and what is worth keeping from one run to the next."""
_PROC = Path("/proc")
_KIB = 1024


@dataclass
class BenchEnvironment:
    """One run: its broker, a directory for what it leaves behind, and how much time the section has (`budget_seconds`)."""

    bootstrap_servers: str
    directory: Path
    short: bool
    seed: int
    budget_seconds: float = 60.0


class Spread(NamedTuple):
    """The median of some measurements, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    def written(self, digits: int = 0) -> str:
        """As in `1,234 (1,200-1,300)`."""
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}-{self.greatest:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of all its descendants, those that have ended and were waited for among them."""
    return sum(_own_cpu_seconds(member) for member in family(pid))


def peak_bytes(pid: int) -> int:
    """The sum of the greatest resident sizes (VmHWM) of the process and its living descendants."""
    return sum(_peak_bytes(member) for member in family(pid))


def family(pid: int) -> list[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for member in found:
        found += children.get(member, ())
    return found


def _parents() -> Iterable[tuple[int, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                yield int(entry.name), int(fields[1])


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold blanks; empty where the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _own_cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith("VmHWM:"))
