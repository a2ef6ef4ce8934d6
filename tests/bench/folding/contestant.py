"""Owns what a contestant is: who folds a whole log into a directory of its own, and what that cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.runtime.settings import Settings


class ContestantError(Exception):
    """The contestant can not take part, or did not come to an end; the message says why in a line."""


@dataclass(frozen=True, slots=True)
class FoldLog:
    """So many events on the topic that the settings name, and the digest that folding them must come to."""

    settings: Settings
    events: int
    digest: str


@dataclass(frozen=True, slots=True)
class Measured:
    """From the first event, or where that can not be told the assignment before it, to the last one being as durable as it gets.

    `cpu_seconds` and `peak_bytes` are of all of the contestant's processes, without the broker. `digest` is empty where nothing was folded.
    `peaks_by_quarter`: of the process that folds, up to each quarter of the events, where that was looked at.
    """

    events: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    digest: str
    peaks_by_quarter: tuple[int, ...] = ()

    @property
    def events_per_cpu_second(self) -> float:
        return self.events / self.cpu_seconds


class Contestant(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def survives(self) -> str:
        """What it has after kill -9, in some words."""
        ...

    async def fold(self, log: FoldLog, directory: Path) -> Measured:
        """Fold all of the log, with nothing known before; raises `ContestantError`."""
        ...
