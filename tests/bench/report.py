"""Owns how results are shown: aligned text on the terminal, and the same as Markdown and JSON under `.data/bench`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench.machine import Machine


@dataclass(frozen=True)
class Table:
    """Every row has as many cells as there are columns; the first column names the row. `notes` stand beneath."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str] = field(default_factory=list)


class SectionFailedError(Exception):
    """What was measured does not count, such as a result that is wrong; `tables` are shown all the same."""

    def __init__(self, reason: str, tables: list[Table]) -> None:
        super().__init__(reason)
        self.tables = tables


@dataclass(frozen=True)
class SectionReport:
    """What one section found; `failure` says why it did not come to its end."""

    name: str
    seconds: float
    tables: list[Table]
    failure: str | None = None


@dataclass(frozen=True)
class Report:
    """A whole run: when (ISO 8601), by which command, on which machine."""

    date: str
    command: str
    machine: Machine
    sections: list[SectionReport]


def as_text(table: Table) -> str:
    """The title, the aligned columns and the notes; cells after the first are set to the right."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]

    def aligned(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(cells, widths, strict=True))]
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([table.title, rule, aligned(table.columns), rule, *map(aligned, table.rows), *(f"  {note}" for note in table.notes)])


def section_as_text(section: SectionReport) -> str:
    """Its tables, and why it failed where it did."""
    parts = [f"== {section.name} ({section.seconds:.0f} s)", *map(as_text, section.tables)]
    if section.failure is not None:
        parts.append(f"FAILED: {section.failure}")
    return "\n\n".join(parts)


def as_markdown(report: Report) -> str:
    """One document with a table of each table."""
    parts = ["# Benchmark", f"{report.date}, `{report.command}`: {report.machine.described()}"]
    for section in report.sections:
        parts.append(f"## {section.name}")
        if section.failure is not None:
            parts.append(f"**Failed:** {section.failure}")
        for table in section.tables:
            parts += [f"### {table.title}", _markdown_table(table)]
            if table.notes:
                parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [table.columns, ("---", *("---:" for _ in table.columns[1:])), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def write(report: Report, directory: Path) -> list[Path]:
    """The Markdown and the JSON file, named for the date; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = directory / f"report-{report.date.replace(':', '').replace('+0000', 'Z')}"
    markdown, data = stem.with_suffix(".md"), stem.with_suffix(".json")
    markdown.write_text(as_markdown(report))
    data.write_text(json.dumps(asdict(report), indent=2) + "\n")
    return [markdown, data]
