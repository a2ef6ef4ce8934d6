"""Owns the proof that an event costs the same in a campaign of a million calls as in one of a hundred."""

from tests.bench.environment import BenchEnvironment
from tests.bench.folding.contestants import new_sqlite
from tests.bench.folding.logs import equal_log
from tests.bench.folding.ours import OurProjector
from tests.bench.folding.rounds import Entry, run_rounds
from tests.bench.folding.tables import contest_table, goal
from tests.bench.report import Table

_ROUNDS = 2
_SMALL = 100
_CALLS, _EVENTS = 1_000_000, 1_100_000
_SHORT_CALLS, _SHORT_EVENTS = 50_000, 60_000


async def measure_flat_cost(environment: BenchEnvironment, port: int, until: float) -> tuple[Table, list[Entry]]:
    """The table, and its entries; rounds end before `until` (monotonic)."""
    calls, events = (_SHORT_CALLS, _SHORT_EVENTS) if environment.short else (_CALLS, _EVENTS)
    entries = []
    for size in (_SMALL, calls):
        log = await equal_log(environment, calls, size, events)
        name = f"campaigns of {size:,} calls" if size == _SMALL else f"one campaign of {size:,} calls"
        entries.append(Entry(OurProjector(name, port, new_sqlite), log))
    small, large = entries
    rounds = await run_rounds(entries, 1 if environment.short else _ROUNDS, until, environment.directory)
    notes = [
        f"ours on SQLite: {calls:,} calls of one org, all scheduled first, then {events - calls:,} events of their lives; rounds: {rounds}",
        goal("flat cost", large, small, 0.83),
    ]
    return contest_table("Flat cost", entries, small, notes), entries
