"""The contract of `ReadModel`'s short ways, on both databases: they see what the long way sees, as soon as it is committed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from projections.queries.read_model import ReadModelAwayError, SqlReadModel
from projections.queries.views import CampaignVersion
from projections.store.generations import fresh_tables, swap_in
from projections.store.sql_store import SqlProjectionStore
from tests.engine.given import World
from tests.projections.given import PARTITION, fill, open_store, records, spread


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlProjectionStore]:
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture
async def read_model(store: SqlProjectionStore) -> AsyncIterator[SqlReadModel]:
    opened = SqlReadModel(store.database)
    yield opened
    await opened.close()


async def test_a_version_moves_with_every_event_of_the_campaign_and_is_seen_at_once(
    store: SqlProjectionStore, read_model: SqlReadModel
) -> None:
    world = World()
    campaign = world.create(2)
    world.claim(world.active(campaign)[0])
    log = records(spread(world.log))
    seen = set()
    for end in range(1, len(log) + 1):
        await store.apply(PARTITION, end - 1, end, log[end - 1 : end])
        version, row = await read_model.version("org-1", campaign), await read_model.campaign("org-1", campaign)
        assert (version is None) == (row is None)
        assert version is None or row is None or version == CampaignVersion(None, row.version)
        assert (await read_model.next_offsets())[PARTITION] == end
        seen.add(version)
    assert None in seen
    assert len(seen) > 2


async def test_a_row_holds_flags_and_not_numbers(store: SqlProjectionStore, read_model: SqlReadModel) -> None:
    world = World()
    campaign = world.create(1)
    await fill(store, records(spread(world.log)))
    row = await read_model.campaign("org-1", campaign)
    assert row is not None
    assert (row.paused, row.shown, row.complete, row.deleted, row.has_dial_plan) == (False, True, True, False, False)
    assert all(isinstance(flag, bool) for flag in (row.paused, row.shown, row.complete, row.deleted, row.has_dial_plan))


async def test_nothing_is_found_of_another_org_or_of_no_campaign(store: SqlProjectionStore, read_model: SqlReadModel) -> None:
    world = World()
    campaign = world.create(1)
    await fill(store, records(spread(world.log)))
    for org_id, campaign_id in (("org-2", campaign), ("org-1", "c"), ("org-1' OR '1'='1", campaign)):
        assert await read_model.version(org_id, campaign_id) is None
        assert await read_model.campaign(org_id, campaign_id, deleted=True) is None


async def test_many_who_ask_at_once_each_get_their_own(store: SqlProjectionStore, read_model: SqlReadModel) -> None:
    world = World()
    campaigns = [world.create(1) for _ in range(5)]
    await fill(store, records(spread(world.log)))
    asked = [(org_id, campaign) for campaign in campaigns for org_id in ("org-1", "org-2")] * 3
    found = await asyncio.gather(*(read_model.version(*question) for question in asked))
    assert [version is not None for version in found] == [org_id == "org-1" for org_id, _ in asked]


async def test_who_stops_asking_disturbs_nobody(store: SqlProjectionStore, read_model: SqlReadModel) -> None:
    world = World()
    campaign = world.create(1)
    await fill(store, records(spread(world.log)))
    asking = [asyncio.create_task(read_model.version("org-1", campaign)) for _ in range(4)]
    await asyncio.sleep(0)
    asking[0].cancel()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(version, CampaignVersion) for version in found[1:])


async def test_a_rebuilt_campaign_is_of_another_version(store: SqlProjectionStore, read_model: SqlReadModel) -> None:
    world = World()
    campaign = world.create(2)
    log = records(spread(world.log))
    await fill(store, log)
    before = await read_model.version("org-1", campaign)
    fresh = await fresh_tables(store.writer)
    rebuilt = SqlProjectionStore(store.database, fresh, publishes=False)
    await rebuilt.ensure_schema()
    await fill(rebuilt, log)
    assert await swap_in(store.writer, fresh, {})
    after = await read_model.version("org-1", campaign)
    assert before is not None
    assert after is not None
    assert (after.generation, after.version) == ("1", before.version)
    assert after != before
    assert (await read_model.next_offsets())[PARTITION] == len(log)
    await rebuilt.close()


async def test_without_tables_the_read_model_is_away_and_with_them_it_is_back(database_url: str) -> None:
    async with open_store(database_url) as store:
        read_model = SqlReadModel(store.database)
        world = World()
        campaign = world.create(1)
        async with store.database.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE campaigns RENAME TO hidden")
        for _ in range(2):
            with pytest.raises(ReadModelAwayError):
                await read_model.version("org-1", campaign)
            with pytest.raises(ReadModelAwayError):
                await read_model.campaign("org-1", campaign)
        async with store.database.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE hidden RENAME TO campaigns")
        await fill(store, records(spread(world.log)))
        assert await read_model.version("org-1", campaign) is not None
        await read_model.close()
