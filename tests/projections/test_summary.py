"""What a campaign's summary is made of, which a rebuild compares to know what to publish again."""

from dataclasses import replace
from typing import Any

import pytest

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS
from projections.campaign_state.summary import SUMMARY_COLUMNS, summary
from tests.engine.given import World
from tests.projections.given import folded, records

_MOST_BYTES = 1_000_000


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else '{"name": "other"}'


@pytest.mark.parametrize("column", CAMPAIGN_COLUMNS)
def test_a_summary_changes_with_the_columns_that_it_names_and_with_no_other(column: str) -> None:
    world = World()
    world.create(2)
    campaign = folded(records(world.log)).campaign()
    changed = replace(campaign, **{column: _other(getattr(campaign, column))})
    assert (summary(changed, _MOST_BYTES) != summary(campaign, _MOST_BYTES)) == (column in SUMMARY_COLUMNS)
