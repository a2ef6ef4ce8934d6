"""The promises hold in whatever the seeds of this short run make of the world, and a seed always makes the same of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.running import run_seeds

_ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_every_promise_holds_on_many_seeds() -> None:
    outcomes = run_seeds(range(500))
    assert sorted(outcome.seed for outcome in outcomes) == list(range(500))
    assert {outcome.seed: outcome.violations[:1] for outcome in outcomes if outcome.violations} == {}


def test_a_seed_gives_the_same_trace_again_and_in_another_process() -> None:
    seeds = (7, 12, 33, 91, 173)
    first, again = run_seeds(seeds), run_seeds(seeds)
    assert [outcome.trace for outcome in first] == [outcome.trace for outcome in again]
    assert len({outcome.trace for outcome in first}) == len(seeds)
    program = f"from tests.simulation.running import run_seeds; print(*(o.trace for o in run_seeds({seeds})))"
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, env={"PYTHONHASHSEED": "123"}, capture_output=True, text=True, check=True
    )
    assert elsewhere.stdout.split() == [outcome.trace for outcome in first]
