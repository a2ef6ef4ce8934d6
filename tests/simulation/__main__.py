"""Runs the simulation: `python -m tests.simulation`, many seeds or, with `--seed`, one of them again."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.simulation.running import Table, planted_bugs_found, run_in_workers, run_seeds, tell

_MOST_SEEDS_FOR_A_BUG = 300


def main(arguments: list[str]) -> int:
    """The exit code: 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="The real services on a world that fails by seed.")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, help="only this one, which then prints its trace")
    asked = parser.parse_args(arguments)
    commit = _commit()
    if asked.seed is not None:
        return _replay(asked.seed, commit)
    began, table = time.monotonic(), Table()
    for outcome in run_in_workers(asked.first, asked.seeds, asked.workers):
        table.add(outcome)
        if outcome.violations:
            tell(outcome, commit, _say)
    _say(f"commit {commit}, seeds {asked.first} to {asked.first + asked.seeds - 1}, {time.monotonic() - began:.0f} s")
    for name, value in (*table.lines(), planted_bugs_found(_MOST_SEEDS_FOR_A_BUG)):
        _say(f"  {name:<20} {value}")
    return 1 if table.broken else 0


def _replay(seed: int, commit: str) -> int:
    (outcome,) = run_seeds([seed])
    _say(f"seed {seed} at commit {commit}: {outcome.steps:,} steps, trace {outcome.trace}, faults {dict(outcome.faults)}")
    for violation in outcome.violations:
        _say(f"  {violation}")
    return 1 if outcome.violations else 0


def _commit() -> str:
    here = Path(__file__).resolve().parents[2]
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
