"""The contestants take turns, a wrong dump does not count, and the time that there is is kept."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.runtime.settings import Settings
from tests.bench.folding.contestant import ContestantError, FoldLog, Measured
from tests.bench.folding.rival import Rival
from tests.bench.folding.rounds import Entry, run_rounds
from tests.bench.folding.tables import contest_table, flat_memory, goal

LOG = FoldLog(Settings(), 1_000, "the digest")
FAR = 1e12


@dataclass
class Stub:
    name: str
    cpu_seconds: list[float]
    digest: str = LOG.digest
    survives: str = "nothing"
    turns: list[str] = field(default_factory=list)

    async def fold(self, log: FoldLog, directory: Path) -> Measured:
        assert list(directory.iterdir()) == []  # noqa: ASYNC240
        self.turns.append(self.name)
        if not self.cpu_seconds:
            raise ContestantError("it has no more time")
        return Measured(log.events, self.cpu_seconds.pop(0), 0.5, 1024 * 1024, self.digest)


async def test_who_comes_first_in_one_round_comes_last_in_the_next(tmp_path: Path) -> None:
    turns: list[str] = []
    entries = [Entry(Stub(name, [1.0] * 3, turns=turns), LOG) for name in ("a", "b")]
    assert await run_rounds(entries, 3, FAR, tmp_path) == 3
    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_no_round_begins_that_would_not_end_in_time_but_the_first(tmp_path: Path) -> None:
    entry = Entry(Stub("a", [1.0] * 3), LOG)
    assert await run_rounds([entry], 3, time.monotonic(), tmp_path) == 1
    assert len(entry.runs) == 1


async def test_a_dump_that_is_not_the_references_does_not_count_and_is_not_tried_again(tmp_path: Path) -> None:
    wrong = Entry(Stub("wrong", [1.0, 1.0], digest="another"), LOG)
    right = Entry(Stub("right", [1.0, 1.0]), LOG)
    await run_rounds([wrong, right], 2, FAR, tmp_path)
    assert wrong.speed is None
    assert len(wrong.runs) == 1
    rows = contest_table("", [wrong, right], right, []).rows
    assert "does not count: its dump is not the reference's" in rows[0]
    assert rows[1][:3] == ("right", "1,000", "1,000 (1,000-1,000)")


async def test_who_fails_is_out_and_the_others_go_on(tmp_path: Path) -> None:
    failing, other = Entry(Stub("failing", [1.0]), LOG), Entry(Stub("other", [1.0] * 3), LOG)
    await run_rounds([failing, other], 3, FAR, tmp_path)
    assert failing.failure == "it has no more time"
    assert len(other.runs) == 3


async def test_what_only_reads_has_no_dump_to_be_wrong(tmp_path: Path) -> None:
    reading = Entry(Stub("reading", [0.5], digest=""), LOG)
    await run_rounds([reading], 1, FAR, tmp_path)
    assert reading.speed == (2_000.0, 2_000.0, 2_000.0)


async def test_a_goal_compares_the_medians(tmp_path: Path) -> None:
    ours, other = Entry(Stub("ours", [1.0, 0.5, 9.0]), LOG), Entry(Stub("other", [2.0, 2.0, 2.0]), LOG)
    await run_rounds([ours, other], 3, FAR, tmp_path)
    assert goal("it", ours, other, 2.0) == "goal it: at least 2.00 x, is 2.00 x: met"
    assert goal("it", ours, other, 2.1) == "goal it: at least 2.10 x, is 2.00 x: MISSED"
    assert goal("it", ours, Entry(Stub("none", []), LOG), 1.0) == "goal it: not known"


def test_memory_is_flat_where_the_last_three_quarters_add_little_in_any_round() -> None:
    def entry(*rounds: tuple[int, ...]) -> Entry:
        runs = [Measured(1_000, 1.0, 1.0, 0, "", tuple(mib * 1024 * 1024 for mib in peaks)) for peaks in rounds]
        return Entry(Stub("ours", []), LOG, runs)

    assert flat_memory(entry((200, 210, 215, 215), (200, 201, 201, 201)), 32).endswith("peaks by quarter 200, 210, 215, 215 MiB: met")
    assert flat_memory(entry((200, 201, 201, 201), (200, 220, 240, 260)), 32).endswith("200, 220, 240, 260 MiB: MISSED")
    assert flat_memory(entry(()), 32) == "goal flat memory: not known"


@pytest.mark.parametrize(
    ("command", "why"), [(["no-such-program"], "not installed"), (["sh", "-c", "echo alas >&2"], "ended before it said begin: alas")]
)
async def test_a_program_that_is_not_there_or_ends_says_why(tmp_path: Path, command: list[str], why: str) -> None:
    with pytest.raises(ContestantError, match=why):
        await asyncio.wait_for(Rival("rival", command, "nothing").fold(LOG, tmp_path), 20)
