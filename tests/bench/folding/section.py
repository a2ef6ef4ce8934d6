"""Owns the fold section: the same log folded by all contestants in turn, and what must hold of our own part whatever the others do."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.bench.environment import BenchEnvironment
from tests.bench.folding import contestants
from tests.bench.folding.flat_cost import measure_flat_cost
from tests.bench.folding.logs import zipf_logs
from tests.bench.folding.ours import OurProjector
from tests.bench.folding.rounds import Entry, run_rounds
from tests.bench.folding.tables import contest_table, flat_memory, goal
from tests.bench.report import SectionFailedError, Table
from tests.support.ports import free_port
from tests.support.postgres import running_postgres

_ROUNDS = 5
_REST_SHARE = 0.15
"""Of the section's time, for what follows the rounds: the kill -9 and the flat cost."""
_MOST_GROWN_MIB = 32
"""A short log ends before all buffers are full, and may miss it."""
_MEASURED = (
    "measured the same for all: the CPU of all processes but the broker (PostgreSQL's count with ours), from the first event until all is",
    "durable, or folded where nothing is; with ours from the assignment right before it. Starting up does not count, Java's compiling does",
    "peaks add up the processes' own, so that PostgreSQL's shared memory counts in each of its processes that touched it",
    "ours also folds contacts, costs, claims and handled commands, and publishes summaries meanwhile; the others only what is compared",
)


async def run_fold_section(environment: BenchEnvironment) -> list[Table]:
    began = time.monotonic()
    until = began + environment.budget_seconds
    port = free_port()
    with ExitStack() as servers:
        postgres = servers.enter_context(running_postgres(environment.directory / "postgres"))
        invited = [*contestants.our_own(port, postgres), *contestants.rivals()]
        lengths = [guest.short_events if environment.short else guest.events for guest in invited]
        workload, logs = await zipf_logs(environment, max(lengths), lengths)
        entries = [Entry(guest.contestant, logs[length]) for guest, length in zip(invited, lengths, strict=True)]
        most_rounds = 1 if environment.short else _ROUNDS
        rounds = await run_rounds(entries, most_rounds, until - _REST_SHARE * environment.budget_seconds, environment.directory)
    ours, on_postgres = entries[:2]
    killed = Entry(OurProjector("ours, SQLite, killed", port, contestants.new_sqlite, killed_at=0.5), on_postgres.log)
    await killed.take_part(environment.directory / "killed")
    notes = [
        f"events of {workload.mean_bytes:.0f} bytes in the mean; {rounds} of {most_rounds} rounds, as time allowed; median (least-most)",
        *_MEASURED,
        f"ours, killed (kill -9) halfway through {killed.log.events:,} events and started again: {killed.failure or 'the same dump'}",
        *_goals(entries, ours),
    ]
    flat, flat_entries = await measure_flat_cost(environment, port, until)
    tables = [contest_table("Folding calls and counters from the log", entries, ours, notes), flat]
    _check([*entries, killed, *flat_entries], tables)
    return tables


def _goals(entries: Sequence[Entry], ours: Entry) -> list[str]:
    others = {entry.name: entry for entry in entries}
    return [
        goal("stock Faust", ours, others[contestants.FAUST], 20.0),
        goal("Bytewax without durability", ours, others[contestants.BYTEWAX], 1.0),
        goal("Kafka Streams, exactly once", ours, others[contestants.STREAMS], 1.0),
        goal("the bare getmany loop that only reads", ours, others[contestants.GETMANY_READS], 0.40),
        goal("the same loop, decoding and folding in memory", ours, others[contestants.GETMANY_FOLDS], 0.40),
        flat_memory(ours, _MOST_GROWN_MIB),
    ]


def _check(entries: Sequence[Entry], tables: list[Table]) -> None:
    failures = [f"{entry.name}: {entry.failure}" for entry in entries if entry.failure is not None]
    if failures:
        raise SectionFailedError("; ".join(failures), tables)
