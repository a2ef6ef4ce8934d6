"""Runs chaos: `python -m tests.chaos [--rounds N] [--seed S] [--short]`; exits 1 where an invariant broke or a planted bug got through."""

import argparse
import asyncio
import logging
import math
import random
import shutil
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from services.runtime.fail_points import FAIL_POINTS
from tests.chaos.plan import SERVICES, plan_rounds, plan_short
from tests.chaos.planted import caught_of_planted
from tests.chaos.report import table
from tests.chaos.rounds import grounds, run_rounds


def fail_points_by_service() -> dict[str, tuple[str, ...]]:
    """In a fixed order, so that a seed names the same ones."""
    return {service: tuple(sorted(name for name in FAIL_POINTS if name.startswith(f"{service}."))) for service in SERVICES}


def _say(line: str) -> None:
    print(line, flush=True)


async def _run(seed: int, rounds: int, minutes: float, short: bool, planted: bool, directory: Path) -> bool:
    points = fail_points_by_service()
    planned = plan_short(seed, points) if short else plan_rounds(seed, rounds, points)
    began = time.monotonic()
    async with grounds(directory) as place:
        totals = await run_rounds(place, planned, _say, until=began + 60 * minutes)
        seconds = time.monotonic() - began
        caught = await caught_of_planted(place, _say) if planted else {}
    _say(table(totals, seed, seconds, caught))
    broken = [result for result in totals.results if result.violations]
    for result in broken:
        _say(f"FAILED: seed {seed}, round {result.round.number}, faults {[str(fault) for fault in result.round.faults]}")
    missed = [name for name, was_caught in caught.items() if not was_caught]
    for name in missed:
        _say(f"FAILED: the planted bug {name} was not caught")
    if broken or missed:
        _say(f"the logs are in {directory / 'logs'}")
    return not broken and not missed


async def _until_terminated(work: Coroutine[Any, Any, bool]) -> bool:
    """SIGTERM ends it as Ctrl-C does: with everything stopped that it started. It may come twice, from `make` too."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: task.cancelling() or task.cancel())
    return await task


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="the same seed plans the same faults; drawn where left out")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after so long")
    parser.add_argument("--short", action="store_true", help="each kind of cheap fault once")
    parser.add_argument("--without-planted", action="store_true", help="plant no bugs at the end")
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every retry; what matters is checked
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    _say(f"seed {seed}")
    directory = Path(".data") / f"chaos-{seed}-{int(time.time())}"
    work = _run(seed, asked.rounds, asked.minutes, asked.short, not asked.without_planted and not asked.short, directory.resolve())
    held = asyncio.run(_until_terminated(work))
    if held:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
