"""A report shows what was measured, and what failed."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.bench.environment import BenchEnvironment
from tests.bench.machine import Machine
from tests.bench.report import Report, SectionFailedError, SectionReport, Table, as_markdown, as_text, section_as_text, write
from tests.bench.sections import Section, run_sections

TABLE = Table("Speed", ("who", "events/s"), [("ours", "1,234"), ("another", "7")], ["a note"])


@pytest.fixture
def environment(tmp_path: Path) -> BenchEnvironment:
    return BenchEnvironment("127.0.0.1:1", tmp_path, short=True, seed=1)


def test_text_is_aligned_with_figures_to_the_right() -> None:
    assert as_text(TABLE).splitlines() == [
        "Speed",
        "-----------------",
        "who      events/s",
        "-----------------",
        "ours        1,234",
        "another         7",
        "  a note",
    ]


def test_markdown_and_json_hold_every_cell_the_machine_and_the_command(tmp_path: Path) -> None:
    machine = Machine(2, 24.0, "3.11", "17", "4.3.1")
    report = Report("2030-01-01T09:00:00+00:00", "make bench", machine, [SectionReport("fold", 3.0, [TABLE], "it broke")])
    markdown, data = write(report, tmp_path)
    assert "| ours | 1,234 |" in markdown.read_text()
    assert "2 cores, 24 GiB, Python 3.11, Java 17, Kafka 4.3.1" in markdown.read_text()
    assert "it broke" in as_markdown(report)
    found = json.loads(data.read_text())
    assert found["command"] == "make bench"
    assert found["sections"][0]["tables"][0]["rows"] == [["ours", "1,234"], ["another", "7"]]


async def test_a_section_that_fails_is_told_and_the_others_still_run(environment: BenchEnvironment) -> None:
    async def raises(environment: BenchEnvironment) -> list[Table]:
        raise LookupError("no such rival")

    async def is_wrong(environment: BenchEnvironment) -> list[Table]:
        raise SectionFailedError("a wrong dump", [TABLE])

    async def works(environment: BenchEnvironment) -> list[Table]:
        return [TABLE]

    sections = [Section(run.__name__, run, 100, 10) for run in (raises, is_wrong, works)]
    first, second, third = [report async for report in run_sections(sections, environment)]
    assert "no such rival" in section_as_text(first)
    assert (second.failure, second.tables) == ("a wrong dump", [TABLE])
    assert (third.failure, third.tables) == (None, [TABLE])


async def test_a_section_gets_its_share_of_the_time_and_is_stopped_far_beyond_it(environment: BenchEnvironment) -> None:
    given = []

    async def hangs(environment: BenchEnvironment) -> list[Table]:
        given.append(environment.budget_seconds)
        await asyncio.Event().wait()
        return []

    (report,) = [report async for report in run_sections([Section("hangs", hangs, 100, 0.01)], environment)]
    assert given == [0.01]
    assert "not done" in (report.failure or "")
