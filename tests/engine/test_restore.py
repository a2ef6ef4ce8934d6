"""A state that starts from the read model's snapshot is the state that starts from the log, whatever happened."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings

from events import commands
from events.envelope import Event
from projections.store.engine import open_database
from projections.store.sql_store import SqlProjectionStore
from services.engine.decider.evolve import evolve
from services.engine.decider.state import PartitionState
from services.engine.restore import state_of
from tests.engine.given import World, names, through_the_log
from tests.engine.test_properties import STEPS, play
from tests.projections.given import records


async def restored(log: list[Event], cut: int) -> PartitionState:
    """The state of an engine that loads a snapshot taken at `cut` and folds the rest of the log on top."""
    with tempfile.TemporaryDirectory() as directory:
        database = open_database(f"sqlite:///{Path(directory) / 'rows.sqlite'}")
        store = SqlProjectionStore(database)
        try:
            await store.ensure_schema()
            await store.apply(0, 0, cut, records(log[:cut]))
            snapshot = await store.engine_snapshot(0)
        finally:
            await store.close()
            await database.dispose()
    assert snapshot.next_offset == cut
    state = state_of(snapshot)
    for event in log[cut:]:
        evolve(state, event)
    return state


def slots(state: PartitionState) -> dict[str, tuple[int, int]]:
    return {org.id: (org.active, org.dialed) for org in state.orgs.values() if org.active}


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_a_snapshot_and_the_rest_of_the_log_give_the_state_of_the_whole_log(steps: list[tuple[Any, ...]]) -> None:
    log = play(steps).log
    whole = through_the_log(log)
    for cut in {len(log), len(log) // 2}:
        state = asyncio.run(restored(log, cut))
        assert state.campaigns == whole.campaigns
        assert slots(state) == slots(whole)
        assert {k: set(o.open) for k, o in state.orgs.items() if o.open} == {k: set(o.open) for k, o in whole.orgs.items() if o.open}
        assert dict(state.handled) == dict(whole.handled)
        assert dict(state.awaited) == dict(whole.awaited)
        assert state.last_event_at == whole.last_event_at
        assert set(state.live_deadlines()) == set(whole.live_deadlines())


async def test_an_org_of_which_nothing_is_open_goes_on_after_a_take_over() -> None:
    before = World()
    campaign_id = before.create(1)
    before.run_out(campaign_id)
    after = World(state=await restored(before.log, len(before.log)), now=before.now)
    assert names(after.do(commands.ArchiveCampaign(), campaign_id, id="late")) == ["CampaignArchived"]
