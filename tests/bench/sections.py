"""Owns the list of what is measured, in order, and how one run of it goes: a section that fails is told, the others still run."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from tests.bench.environment import BenchEnvironment
from tests.bench.folding.section import run_fold_section
from tests.bench.reads import run as run_reads
from tests.bench.report import SectionFailedError, SectionReport, Table
from tests.bench.writes import run as run_writes

_GRACE = 4.0
"""A section stops by itself within its share of the time; one that took so many times its share hangs: it is stopped, and has failed."""

Run = Callable[[BenchEnvironment], Awaitable[list[Table]]]


@dataclass(frozen=True)
class Section:
    """`seconds` and `short_seconds`: its share of a full and of a short run."""

    name: str
    run: Run
    seconds: float
    short_seconds: float


def all_sections() -> list[Section]:
    """In the order in which they run; a short run is to take less than two minutes, a full one less than ten."""
    return [
        Section("fold", run_fold_section, 400, 55),
        Section("reads", run_reads, 90, 20),
        Section("writes", run_writes, 100, 35),
    ]


async def run_sections(sections: Iterable[Section], environment: BenchEnvironment) -> AsyncIterator[SectionReport]:
    for section in sections:
        budget = section.short_seconds if environment.short else section.seconds
        directory = environment.directory / section.name
        directory.mkdir(parents=True, exist_ok=True)
        yield await _run_one(section, replace(environment, directory=directory, budget_seconds=budget))


async def _run_one(section: Section, environment: BenchEnvironment) -> SectionReport:
    began = time.monotonic()
    tables: list[Table] = []
    failure = None
    try:
        async with asyncio.timeout(environment.budget_seconds * _GRACE):
            tables = await section.run(environment)
    except TimeoutError:
        failure = f"not done after {environment.budget_seconds * _GRACE:.0f} s, {_GRACE:.0f} times its share\n{traceback.format_exc()}"
    except SectionFailedError as error:
        tables, failure = error.tables, str(error)
    except Exception:  # whatever broke it is the section's result
        failure = traceback.format_exc()
    return SectionReport(section.name, time.monotonic() - began, tables, failure)
