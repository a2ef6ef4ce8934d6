"""The projector on real Kafka: what it commits, what it skips, and how it survives."""

from projections.store.sql_store import SqlProjectionStore
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.engine.given import World
from tests.projections.given import dumped, open_store, spread
from tests.projector.given import Log, open_log, running_projector
from tests.support.eventually import eventually


async def caught_up(store: SqlProjectionStore, log: Log) -> None:
    await eventually(store.next_offsets, lambda seen: all(seen.get(p, 0) >= end for p, end in log.ends.items()), 30)


async def reference(log: Log, url: str) -> bytes:
    """The dump of the rows that a fold of the committed log in one go makes."""
    async with open_store(url) as store:
        for partition, records in log.committed.items():
            await store.apply(partition, 0, len(records), records)
        return await dumped(store)


def campaigns(count: int, size: int = 6) -> World:
    world = World()
    for number in range(count):
        campaign_id = world.create(size, org=f"org-{number}", id=f"create-{number}", maxConcurrency=2)
        for call in world.active(campaign_id):
            world.claim(call, org=f"org-{number}")
    return world


async def test_committed_events_become_rows_and_aborted_ones_do_not(settings: Settings, tmp_path: object) -> None:
    await ensure_topics(settings)
    world = campaigns(4)
    events = spread(world.log)
    async with open_log(settings) as log, running_projector(settings) as projector, open_store(settings.read_model_url()) as store:
        await log.write(events[:30])
        await log.write(events[30:60], abort=True)
        await log.write(events[30:])
        await caught_up(store, log)
        assert await dumped(store) == await reference(log, f"sqlite:///{tmp_path}/reference.sqlite")
        assert await projector.stop() == 0
