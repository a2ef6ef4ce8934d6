"""Owns what the fold section shows: who folded how much with a second of CPU, and which of the goals are met."""

from collections.abc import Sequence

from tests.bench.environment import spread
from tests.bench.folding.rounds import Entry
from tests.bench.report import Table

_MIB = 1024 * 1024
COLUMNS = ("contestant", "events", "events per CPU-second", "CPU s", "wall s", "peak MiB", "ours is", "after kill -9 it has")


def contest_table(title: str, entries: Sequence[Entry], ours: Entry, notes: list[str]) -> Table:
    """`ours` is whom the others are compared with."""
    return Table(title, COLUMNS, [_row(entry, ours) for entry in entries], notes)


def _row(entry: Entry, ours: Entry) -> tuple[str, ...]:
    events = f"{entry.log.events:,}"
    if entry.speed is None or ours.speed is None:
        return entry.name, events, f"does not count: {entry.failure}", "", "", "", "", entry.contestant.survives
    return (
        entry.name,
        events,
        entry.speed.written(),
        spread([run.cpu_seconds for run in entry.runs]).written(1),
        spread([run.wall_seconds for run in entry.runs]).written(1),
        f"{max(run.peak_bytes for run in entry.runs) / _MIB:,.0f}",
        f"{ours.speed.median / entry.speed.median:.2f} x",
        entry.contestant.survives,
    )


def goal(what: str, ours: Entry, other: Entry, least: float) -> str:
    """A line that says whether ours is at least so many times as fast as the other."""
    if ours.speed is None or other.speed is None:
        return f"goal {what}: not known"
    ratio = ours.speed.median / other.speed.median
    return f"goal {what}: at least {least:.2f} x, is {ratio:.2f} x: {'met' if ratio >= least else 'MISSED'}"


def flat_memory(ours: Entry, most_mib: int) -> str:
    """A line that says whether ours needs hardly more memory for a whole log than for its first quarter."""
    peaks = [[peak / _MIB for peak in run.peaks_by_quarter] for run in ours.runs if run.peaks_by_quarter]
    if not peaks:
        return "goal flat memory: not known"
    worst = max(peaks, key=lambda quarters: quarters[-1] - quarters[0])
    grown = worst[-1] - worst[0]
    said = ", ".join(f"{peak:,.0f}" for peak in worst)
    return f"goal flat memory: at most {most_mib} MiB more after all of the log than after a quarter; peaks by quarter {said} MiB: " + (
        "met" if grown <= most_mib else "MISSED"
    )
