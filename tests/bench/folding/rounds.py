"""Owns the order of the measurements: round by round, each contestant once a round, as many rounds as the time allows."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.environment import Spread, spread
from tests.bench.folding.contestant import Contestant, ContestantError, FoldLog, Measured

_MOST_SECONDS = 180.0
"""For one fold; whoever takes longer is stuck."""


@dataclass(slots=True)
class Entry:
    """A contestant with its log, and what came of it. One that failed is not tried again."""

    contestant: Contestant
    log: FoldLog
    runs: list[Measured] = field(default_factory=list)
    failure: str | None = None

    @property
    def name(self) -> str:
        return self.contestant.name

    @property
    def speed(self) -> Spread | None:
        """Events per CPU-second; `None` where it does not count."""
        return spread([run.events_per_cpu_second for run in self.runs]) if self.runs and self.failure is None else None

    async def take_part(self, directory: Path) -> None:
        if self.failure is not None:
            return
        directory.mkdir(parents=True)  # noqa: ASYNC240 - nothing is being measured
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                run = await self.contestant.fold(self.log, directory)
        except ContestantError as error:
            self.failure = str(error)
        except TimeoutError:
            self.failure = f"not done after {_MOST_SECONDS:.0f} s"
        else:
            self.runs.append(run)
            if run.digest not in ("", self.log.digest):
                self.failure = "its dump is not the reference's"
        finally:
            shutil.rmtree(directory, ignore_errors=True)


async def run_rounds(entries: Sequence[Entry], most_rounds: int, until: float, directory: Path) -> int:
    """How many rounds there were: a round only begins if one that takes as long as the longest so far ends before `until` (monotonic)."""
    longest = 0.0
    for number in range(most_rounds):
        began = time.monotonic()
        if number and began + longest > until:
            return number
        # every other round the other way round, so that nobody always comes after the same one
        for entry in entries if number % 2 == 0 else reversed(entries):
            await entry.take_part(directory / f"{number}-{entry.name.replace(' ', '-').replace('/', '-')}")
        longest = max(longest, time.monotonic() - began)
    return most_rounds
