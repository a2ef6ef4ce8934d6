"""A campaign's summary fits into a record, whatever a user said of the campaign."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from events.schemas import campaign_state_schema
from projections.campaign_progress.rows import CampaignRow
from projections.campaign_state.summary import summary
from tests.engine.given import World
from tests.projections.given import Rows, records

MOST_BYTES = 20_000
_URL = {"url": "https://hooks.test/"}


def campaign(**changes: Any) -> CampaignRow:
    world = World()
    world.create(1)
    row = Rows().fold(records(world.log)).campaign()
    return replace(row, spec=orjson.dumps(orjson.loads(row.spec) | changes).decode())


def told(row: CampaignRow) -> dict[str, Any]:
    value = summary(row, MOST_BYTES)
    assert value is not None
    assert len(value) <= MOST_BYTES
    found: dict[str, Any] = orjson.loads(value)
    Draft202012Validator(campaign_state_schema()).validate(found)
    return found


@pytest.mark.parametrize(
    "large", [{"server": _URL | {"headers": {"x": "y" * MOST_BYTES}}}, {"assistantOverrides": {"x": "y" * MOST_BYTES}}]
)
def test_what_may_be_large_is_left_out_where_the_summary_would_be_too_large(large: dict[str, Any]) -> None:
    row = campaign(name="n" * 2_000, server=_URL, serverMessages=["campaign.started"])
    assert told(row)["server"] == _URL
    cut = told(replace(row, spec=orjson.dumps(orjson.loads(row.spec) | large).decode()))
    assert {"server", "assistantOverrides"}.isdisjoint(cut)
    assert (cut["name"], cut["serverMessages"]) == ("n" * 2_000, ["campaign.started"])


@pytest.mark.parametrize("large", [{"name": "\0" * MOST_BYTES}, {"serverMessages": ["campaign.started"] * MOST_BYTES}])
def test_a_name_and_server_messages_are_cut_too_where_nothing_else_helps(large: dict[str, Any]) -> None:
    row = campaign(**({"name": "Spring"} | large))
    found = told(row)
    assert found["name"] == orjson.loads(row.spec)["name"][:1_000]
    assert "serverMessages" not in found


def test_a_deleted_campaign_has_no_summary() -> None:
    assert summary(replace(campaign(), deleted=True), MOST_BYTES) is None
