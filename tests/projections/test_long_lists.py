"""Pages of long lists, on both databases: by marks or without, they hold what the whole list holds, whatever changes meanwhile."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from events import commands
from projections.queries.contact_lists import CONTACT_STATUSES
from projections.queries.marks import KnownMarks, Marks
from projections.queries.read_model import SqlReadModel
from projections.queries.views import CampaignsQuery
from projections.store.sql_store import SqlProjectionStore
from tests.engine.given import World
from tests.projections.given import PARTITION, open_store, records


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlProjectionStore]:
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture
async def read_model(store: SqlProjectionStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlReadModel]:
    """With so many marks that short lists have some."""
    for module in ("campaign_lists", "contact_lists"):
        monkeypatch.setattr(f"projections.queries.{module}.NEAR", 2)
        monkeypatch.setattr(f"projections.queries.{module}.MARK_EVERY", 3)
    opened = SqlReadModel(store.database)
    yield opened
    await opened.close()


class Told:
    """A world whose events are applied to the store as they come."""

    def __init__(self, store: SqlProjectionStore) -> None:
        self.world = World()
        self._store = store
        self._applied = 0

    async def apply(self) -> None:
        log = records(self.world.log)
        await self._store.apply(PARTITION, self._applied, len(log), log[self._applied :])
        self._applied = len(log)


async def _paged(read_model: SqlReadModel, query: CampaignsQuery, limit: int) -> tuple[list[Any], set[int]]:
    found: list[Any] = []
    totals, page = set(), 1
    while True:
        result = await read_model.campaigns(replace(query, page=page, limit=limit))
        totals.add(result.total)
        found += result.items
        page += 1
        if not result.items:
            return found, totals


async def test_the_pages_of_every_list_together_are_the_list_before_and_after_it_changes(
    store: SqlProjectionStore, read_model: SqlReadModel
) -> None:
    told = Told(store)
    ids = []
    for number in range(14):
        # some are of the same moment, so that only their ids tell them apart
        told.world.now += timedelta(minutes=number % 3)
        ids.append(told.world.create(1))
    await told.apply()
    middle = (await read_model.campaigns(CampaignsQuery("org-1"))).items[7].created_at
    for change in (None, commands.StopCampaign(), commands.ArchiveCampaign(), commands.DeleteCampaign()):
        if change is not None:
            for campaign in ids[2:9:3]:
                told.world.now += timedelta(seconds=1)
                told.world.do(change, campaign)
            ids.append(told.world.create(2))
            await told.apply()
        for status, created, descending, limit in product(
            (None, "ended", "cancelled", "archived", "in-progress"), ((), (("ge", middle),), (("lt", middle),)), (True, False), (1, 4, 5)
        ):
            query = CampaignsQuery("org-1", 1, 1_000, status=status, created=created, descending=descending)  # type: ignore[arg-type]
            whole = await read_model.campaigns(query)
            assert list(whole.items) == sorted(whole.items, key=lambda row: (row.created_at, row.id), reverse=descending)
            assert await _paged(read_model, query, limit) == (list(whole.items), {whole.total})
            assert whole.total == len(whole.items)
    assert (await read_model.campaigns(CampaignsQuery("org-2"))).total == 0


async def test_the_first_campaign_of_an_org_shows_in_its_list(store: SqlProjectionStore, read_model: SqlReadModel) -> None:
    told = Told(store)
    assert (await read_model.campaigns(CampaignsQuery("org-1"))).total == 0
    told.world.create(1)
    await told.apply()
    assert (await read_model.campaigns(CampaignsQuery("org-1"))).total == 1


async def test_the_pages_of_contacts_together_are_all_contacts_by_position_and_by_status(
    store: SqlProjectionStore, read_model: SqlReadModel
) -> None:
    told = Told(store)
    campaign = told.world.create(17, maxConcurrency=5)
    await told.apply()
    for reason in ("voicemail", "customer-busy", "customer-ended-call", None):
        if reason is None:
            told.world.do(commands.StopCampaign(), campaign)
        else:
            for call in told.world.active(campaign)[:3]:
                told.world.finish(call, reason)
        await told.apply()
        every = await read_model.contacts("org-1", campaign, [], "position", 1, 1_000)
        assert every is not None
        assert [view.position for view in every.items] == list(range(17))
        for statuses in ([], ["contact.pending"], ["contact.completed", "contact.failed"], ["contact.skipped", "contact.dispatched"]):
            wanted = [view for view in every.items if not statuses or view.contact_status in statuses]
            for order, limit in product(("position", "status"), (1, 4)):
                if order == "status":
                    wanted = sorted(wanted, key=lambda view: CONTACT_STATUSES.index(view.contact_status))
                found: list[Any] = []
                for page in range(1, 17 // limit + 3):
                    result = await read_model.contacts("org-1", campaign, statuses, order, page, limit)  # type: ignore[arg-type]
                    assert result is not None
                    assert result.total == len(wanted)
                    found += result.items
                assert found == wanted


async def test_what_is_asked_for_by_its_id_is_not_remembered(
    store: SqlProjectionStore, read_model: SqlReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told(store)
    id = told.world.create(1)
    await told.apply()
    kept: list[Any] = []

    def keep(known: KnownMarks, which: Any, state: Any, marks: Marks) -> Marks:
        kept.append(which)
        return marks

    monkeypatch.setattr(KnownMarks, "keep", keep)
    for asked in (id, "x" * 8_000):
        assert (await read_model.campaigns(CampaignsQuery("org-1", campaign_id=asked))).total == (asked == id)
    assert kept == []
    assert (await read_model.campaigns(CampaignsQuery("org-1"))).total == 1
    assert len(kept) == 1


def test_marks_are_of_one_state_and_the_list_that_was_asked_for_the_longest_ago_makes_room() -> None:
    known = KnownMarks(most_marks=50)
    marks = Marks(1_000, [1, 2, 3])
    for name in "ab":
        known.keep(name, 1, marks)
    assert known.of("a", 1) == marks
    assert known.of("a", 2) is None
    known.keep("c", 1, marks)
    assert [known.of(name, 1) is not None for name in "abc"] == [True, False, True]
    known.keep("d", 1, Marks(1_000_000, list(range(50))))
    assert [known.of(name, 1) is not None for name in "acd"] == [False, False, True]


def test_lists_without_keys_take_room_too() -> None:
    known = KnownMarks(most_marks=200_000)
    for name in range(20_000):
        known.keep(name, 1, Marks(1))
    assert [known.of(name, 1) is not None for name in (0, 9_999, 10_000, 19_999)] == [False, False, True, True]
