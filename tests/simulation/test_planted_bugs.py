"""The simulation finds every bug that is planted, within a bounded number of seeds, by a promise that the bug breaks."""

import pytest

from tests.simulation.bugs import BUGS, PlantedBug
from tests.simulation.running import seed_that_finds

MOST_SEEDS = 300


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: PlantedBug) -> None:
    found = seed_that_finds(bug, MOST_SEEDS)
    assert found is not None
    assert found.violations[0].startswith(bug.breaks)
