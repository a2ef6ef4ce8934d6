"""The clock that tests move: sleepers wake in their order, and only when time has come."""

import asyncio
from pathlib import Path

import pytest

from services.runtime.clock import OFFSET_VARIABLE, SystemClock
from tests.support.clock import ManualClock


async def test_sleepers_wake_in_order_when_their_time_has_come() -> None:
    clock, woken = ManualClock(), list[int]()

    async def sleeper(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (30, 10, 20)]
    await asyncio.sleep(0)
    clock.move(seconds=20)
    await asyncio.gather(tasks[1], tasks[2])
    assert woken == [10, 20]
    clock.move(seconds=10)
    await tasks[0]


def test_wall_and_monotonic_time_move_together() -> None:
    clock = ManualClock()
    before = clock.now()
    clock.move(hours=1)
    assert (clock.now() - before).total_seconds() == clock.monotonic() == 3600


def test_the_machines_clock_is_utc_to_the_millisecond() -> None:
    now = SystemClock().now()
    assert now.utcoffset() is not None
    assert now.microsecond % 1000 == 0


def test_a_test_may_move_the_machines_clock_by_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = tmp_path / "offset"
    offset.write_text("0")
    monkeypatch.setenv(OFFSET_VARIABLE, str(offset))
    moved = SystemClock()
    monkeypatch.delenv(OFFSET_VARIABLE)
    plain = SystemClock()
    offset.write_text("3600")
    assert 3_590 < (moved.now() - plain.now()).total_seconds() < 3_610
