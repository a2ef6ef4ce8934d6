"""The short form of chaos on the real thing; `make chaos` itself also plants bugs, and fails where its checker misses one."""

from pathlib import Path

import pytest

from infra.kafka.broker import LIBS
from tests.chaos.__main__ import fail_points_by_service
from tests.chaos.plan import plan_short
from tests.chaos.rounds import grounds, run_rounds

pytestmark = [
    pytest.mark.skipif(not LIBS.exists(), reason="the jars are not fetched where a cluster is named"),
    pytest.mark.timeout(900),
]


async def test_no_invariant_breaks_under_one_fault_of_each_kind(tmp_path: Path) -> None:
    async with grounds(tmp_path) as place:
        totals = await run_rounds(place, plan_short(2, fail_points_by_service()), print)
    assert [line for result in totals.results for line in result.violations] == []
    assert totals.doubled == 0
    assert totals.claims > 0
