"""Taking over a partition whose log is long: what is kept of it are the calls that live, not those that lived."""

from prometheus_client import CollectorRegistry

from events.codec import encode_event
from projections.engine_snapshot.snapshot import EngineSnapshot
from services.engine.decider.policy import Policy
from services.engine.observer import Observer
from services.engine.partition import PartitionEngine
from tests.engine.given import World
from tests.engine.logs import MemoryLog
from tests.support.clock import ManualClock


class EmptyReadModel:
    """A read model that knows nothing, so that the engine folds from offset 0."""

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        return EngineSnapshot(0, None, [], [], [])


async def _deadlines_after(calls: int) -> int:
    """How many deadlines are kept after a take-over of the log of a campaign with so many calls, five of which are left."""
    world = World()
    campaign_id = world.create(calls, maxConcurrency=5)
    while world.campaign(campaign_id).next_position < calls:
        world.finish(world.active(campaign_id)[0])
    log = MemoryLog(committed_events=[encode_event(event, f"e-{number}") for number, event in enumerate(world.log)])
    engine = PartitionEngine(
        0, await log.new_owner(), EmptyReadModel(), ManualClock(), Policy(), lambda: "n", Observer(CollectorRegistry())
    )
    state = (await engine.take_over()).state
    assert len(state.campaigns[campaign_id].calls) == 5
    return len(state.deadlines.heap)


async def test_deadlines_of_calls_that_are_over_do_not_add_up_in_a_take_over() -> None:
    assert await _deadlines_after(600) <= 1_100
    assert await _deadlines_after(2_000) <= 1_100
