"""Owns the fold section: the same log folded by all contestants in turn, and what must hold of our own part whatever the others do."""

import time
from contextlib import ExitStack
from pathlib import Path

from infra.kafka.broker import free_port
from tests.bench.environment import BenchEnvironment
from tests.bench.folding.logs import zipf_logs
from tests.bench.folding.ours import OurProjector
from tests.bench.folding.rounds import Entry, run_rounds
from tests.bench.folding.tables import contest_table
from tests.bench.report import SectionFailedError, Table
from tests.support.postgres import fresh_database, running_postgres


async def run_fold_section(environment: BenchEnvironment) -> list[Table]:
    until = time.monotonic() + environment.budget_seconds
    events = 100_000 if environment.short else 500_000
    workload, logs = await zipf_logs(environment, events, [events])
    with ExitStack() as servers:
        postgres = servers.enter_context(running_postgres(environment.directory / "postgres"))

        async def new_postgres(directory: Path) -> str:
            return fresh_database(postgres)

        port = free_port()
        on_sqlite = Entry(OurProjector("ours, SQLite", port, _new_sqlite), logs[events])
        on_postgres = Entry(OurProjector("ours, PostgreSQL", port, new_postgres, [postgres.get_pid()]), logs[events])
        entries = [on_sqlite, on_postgres]
        rounds = await run_rounds(entries, 1 if environment.short else 5, until, environment.directory)
        killed = Entry(OurProjector("ours, SQLite", port, _new_sqlite, killed_at=0.5), logs[events])
        await killed.take_part(environment.directory / "killed")
    notes = [
        f"{events:,} events of {workload.mean_bytes:.0f} bytes in the mean, rounds: {rounds}; median (least-greatest)",
        f"ours, killed (kill -9) halfway and started again: {killed.failure or 'the same dump'}",
    ]
    table = contest_table("Folding calls and counters", entries, on_sqlite, notes)
    failures = [f"{entry.name}: {entry.failure}" for entry in [*entries, killed] if entry.failure]
    if failures:
        raise SectionFailedError("; ".join(failures), [table])
    return [table]


async def _new_sqlite(directory: Path) -> str:
    return f"sqlite:///{directory / 'read-model.sqlite'}"
