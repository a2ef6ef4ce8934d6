"""Owns runs of many seeds: over several worker processes, added up into one table."""

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

from tests.simulation.bugs import BUGS, PlantedBug
from tests.simulation.world import Metrics, Outcome, World

_CHUNK = 20


def run_seeds(seeds: Iterable[int]) -> list[Outcome]:
    """One after the other, in this process."""
    metrics, outcomes = Metrics(), []
    with _older_objects_left_alone():
        for seed in seeds:
            outcomes.append(World(seed, metrics).run())
            # a run leaves many cycles, and looking for them while it runs costs a fifth of the time
            gc.collect()
    return outcomes


@contextmanager
def _older_objects_left_alone() -> Iterator[None]:
    """What was there before is never looked through: after each run that costs more than the run, and in pytest ten times as much."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def run_in_workers(first: int, count: int, workers: int) -> Iterator[Outcome]:
    """In the order in which the workers come to them."""
    chunks = [range(begin, min(begin + _CHUNK, first + count)) for begin in range(first, first + count, _CHUNK)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for outcomes in pool.imap_unordered(run_seeds, chunks):
            yield from outcomes


@dataclass(slots=True)
class Table:
    """What many runs came to."""

    seeds: int = 0
    lively: int = 0
    steps: int = 0
    events: int = 0
    claimed: int = 0
    unknown: int = 0
    doubled: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[Outcome] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.lively += outcome.lively
        self.steps += outcome.steps
        self.events += outcome.events
        self.claimed += outcome.claimed
        self.unknown += outcome.unknown
        self.doubled += outcome.doubled
        self.faults += outcome.faults
        if outcome.recovery_seconds is not None:
            self.recoveries.append(outcome.recovery_seconds)
        if outcome.violations:
            self.broken.append(outcome)

    def lines(self) -> Iterator[tuple[str, str]]:
        """A name and a value for each row."""
        yield "seeds", f"{self.seeds:,} ({self.seeds - self.lively:,} for safety, {self.lively:,} for liveness)"
        yield "steps", f"{self.steps:,}"
        yield "committed records", f"{self.events:,}"
        yield "faults", ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.faults.items()))
        yield "violations", f"{len(self.broken):,}"
        yield "claims", f"{self.claimed:,}"
        yield "doubled dials", f"{self.doubled:,}"
        yield "unknown", f"{100 * self.unknown / max(self.claimed, 1):.1f} % of the claims"
        if len(self.recoveries) > 1:
            cuts = quantiles(self.recoveries, n=100)
            yield "recovery p50 / p99", f"{cuts[49]:.1f} s / {cuts[98]:.1f} s of simulated time"


def tell(failure: Outcome, commit: str, say: Callable[[str], None]) -> None:
    """What broke, and how to see it again."""
    say(f"seed {failure.seed} at commit {commit} broke a promise: make simulate SEED={failure.seed}")
    for violation in failure.violations[:3]:
        say(f"  {violation}")


def seed_that_finds(bug: PlantedBug, most_seeds: int) -> Outcome | None:
    """The first run in which the planted bug breaks a promise; `None` where it goes unseen."""
    metrics = Metrics()
    with bug.planted() as parts:
        for seed in range(most_seeds):
            outcome = World(seed, metrics, parts, bug.faults).run()
            if outcome.violations:
                return outcome
    return None


def planted_bugs_found(most_seeds: int) -> tuple[str, str]:
    """The table's row on them."""
    missed = [bug.name for bug in BUGS if seed_that_finds(bug, most_seeds) is None]
    return "planted bugs caught", f"{len(BUGS) - len(missed)} of {len(BUGS)}" + (f", missed: {missed}" if missed else "")
