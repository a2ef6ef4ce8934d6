"""The contract of `ProjectionStore`, in memory and on both databases, and what the databases add to it."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import delete, func, select, update

from events import commands
from events.ids import call_id_of
from projections.errors import FoldError, UnknownEventError
from projections.reading import CallData, LogEvent
from projections.store import snapshot_reads, sql_store
from projections.store.dump import dump
from projections.store.engine import writing
from projections.store.generations import fresh_tables, swap_in
from projections.store.identity import identity_of
from projections.store.memory_store import MemoryProjectionStore
from projections.store.outbox import SqlOutbox
from projections.store.port import Applied, Fenced, ProjectionStore, ReadModelMismatchError
from projections.store.sql_store import SqlProjectionStore
from projections.store.tables import calls, campaigns, handled_commands, meta, outbox
from services.engine.restore import state_of
from tests.engine.given import World, draft
from tests.projections.given import PARTITION, dumped, fill, folded, open_store, records, spread


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlProjectionStore]:
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStore]:
    """An empty store of each kind in turn."""
    if request.param == "memory":
        yield MemoryProjectionStore()
        return
    database_url = f"sqlite:///{tmp_path}/any.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with open_store(database_url) as opened:
        yield opened


def busy_world() -> World:
    """Campaigns in every state, with calls in every state."""
    world = World()
    first = world.create(6, maxConcurrency=3)
    active = world.active(first)
    world.finish(active[0], "voicemail")
    world.claim(active[1])
    world.outcome(active[1], provider="sim", provider_call_id="x")
    world.report(active[1], "in-progress")
    world.claim(active[2])
    world.report(active[2], "ended", ended_reason="customer-ended-call", cost=0.125)
    later = world.create(4, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z", "latestAt": "2031-01-02T00:00:00Z"})
    plan = {"dialPlan": [{"phoneNumberId": "p-2", "customers": [{"number": "+14155550099"}, {"number": "+14155550098"}]}]}
    world.do(commands.UpdateCampaign.model_validate(plan), later)
    world.do(commands.StopCampaign(), world.create(2, org="org-2", schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"}), org="org-2")
    world.do(commands.DeleteCampaign(), world.create(1))
    world.do(commands.StopCampaign(), "00000000-0000-5000-8000-000000000000", id="stray")
    parts = commands.CreateCampaign.model_validate({"name": "n", "assistantId": "a", "phoneNumberId": "p", "parts": 2})
    world.do(parts, id="parted")
    return world


async def test_rows_are_those_of_the_fold_in_memory(store: SqlProjectionStore) -> None:
    log = records(spread(busy_world().log))
    await fill(store, log, cuts=[1, 5, 11, 30])
    rows = folded(log)
    lines = [orjson.loads(line) for line in (await dumped(store)).splitlines()]
    assert {line[0] for line in lines if line[0] in rows.campaigns} == set(rows.campaigns)
    async with store.database.connect() as connection:
        for row in (await connection.execute(select(campaigns))).mappings():
            assert {name: row[name] for name in row if name != "id"} == {
                name: getattr(rows.campaigns[row["id"]], name) for name in row if name != "id"
            }
        stored = {row["id"]: row for row in (await connection.execute(select(calls))).mappings()}
    assert set(stored) == set(rows.calls)
    for call_id, call in rows.calls.items():
        seen = stored[call_id]
        assert (seen["status"], seen["updated_at"], seen["cost"]) == (call.status, call.updated_at, call.cost)
        assert tuple(seen.values())[:8] == rows.contacts[call_id]


async def test_how_the_log_is_cut_into_batches_does_not_show(any_store: ProjectionStore, tmp_path: Path) -> None:
    log = records(spread(busy_world().log))
    await fill(any_store, log, cuts=range(len(log)))
    async with open_store(f"sqlite:///{tmp_path}/whole.sqlite") as whole:
        await fill(whole, log)
        assert await dumped(any_store) == await dumped(whole)


async def test_a_batch_that_does_not_start_at_the_stored_offset_is_fenced_and_changes_nothing(any_store: ProjectionStore) -> None:
    log = records(spread(busy_world().log))
    await fill(any_store, log[:20])
    before = await dumped(any_store)
    for start in (0, 19, 21):
        assert await any_store.apply(PARTITION, start, start + 5, log[20:25]) == Fenced(20)
    assert await dumped(any_store) == before
    assert isinstance(await any_store.apply(PARTITION, 20, len(log), log[20:]), Applied)


async def test_of_two_that_write_the_same_batch_at_once_one_is_fenced(store: SqlProjectionStore, database_url: str) -> None:
    log = records(spread(busy_world().log))
    async with open_store(database_url) as other:
        outcomes = await asyncio.gather(*(each.apply(PARTITION, 0, len(log), log) for each in (store, other)))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Applied", "Fenced"]
    assert await store.next_offsets() == {PARTITION: len(log)}


async def test_two_that_take_turns_at_a_partition_never_fold_onto_rows_that_the_other_changed(
    store: SqlProjectionStore, database_url: str, tmp_path: Path
) -> None:
    log = records(spread(busy_world().log))
    async with open_store(database_url) as other, open_store(f"sqlite:///{tmp_path}/alone.sqlite") as alone:
        await fill(alone, log)
        for start in range(0, len(log), 3):
            batch = log[start : start + 3]
            writers = (store, other) if start % 2 else (other, store)
            assert isinstance(await writers[0].apply(PARTITION, start, start + len(batch), batch), Applied)
            assert await writers[1].apply(PARTITION, start, start + len(batch), batch) == Fenced(start + len(batch))
        assert await dumped(store) == await dumped(alone)


async def test_how_much_of_a_batch_is_folded_at_a_time_does_not_show(
    store: SqlProjectionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = records(spread(busy_world().log))
    await fill(store, log, {20})
    monkeypatch.setattr(sql_store, "AT_A_TIME", 1)
    async with open_store(f"sqlite:///{tmp_path}/by-one.sqlite") as by_one:
        await fill(by_one, log, {20})
        assert await dumped(by_one) == await dumped(store)


async def test_a_late_event_of_a_call_that_was_dropped_in_the_same_batch_stops_it_loudly(
    store: SqlProjectionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    campaign_id = world.create(2, schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    dropped = call_id_of(campaign_id, 0)
    await fill(store, records(world.log))
    start = len(world.log)
    plan = {"dialPlan": [{"phoneNumberId": "p-2", "customers": [{"number": "+14155550099"}]}]}
    world.do(commands.UpdateCampaign.model_validate(plan), campaign_id)
    late = LogEvent(id="e", type="CallQueued.v1", orgid="o", time="t", subject=campaign_id, callid=dropped, data=CallData(attempt=1))
    monkeypatch.setattr(sql_store, "AT_A_TIME", 1)
    with pytest.raises(FoldError, match=dropped):
        await store.apply(PARTITION, start, len(world.log) + 1, [*records(world.log[start:]), late])


async def test_partitions_do_not_know_each_other(any_store: ProjectionStore) -> None:
    log = records(World().do(draft()))
    await any_store.apply(0, 0, 5, log)
    assert await any_store.apply(3, 7, 9, []) == Fenced(0)
    assert await any_store.apply(3, 0, 9, []) == Applied(9, 0)
    assert await any_store.next_offsets() == {0: 5, 3: 9}


@pytest.mark.parametrize("wrong", ["CampaignCreated.v9", "CallEnded.v1"])
async def test_a_batch_that_can_not_be_folded_leaves_no_trace(any_store: ProjectionStore, wrong: str) -> None:
    log = records(spread(busy_world().log))
    await fill(any_store, log[:10])
    before = await dumped(any_store)
    data = CallData(ended_reason="x", ended_at="y")
    poison = LogEvent(id="e", type=wrong, orgid="o", time=log[10].time, subject=log[10].subject, callid="unheard of", data=data)
    with pytest.raises((UnknownEventError, FoldError)):
        await any_store.apply(PARTITION, 10, 13, [*log[10:12], poison])
    assert await dumped(any_store) == before
    assert await any_store.next_offsets() == {PARTITION: 10}
    assert isinstance(await any_store.apply(PARTITION, 10, 13, log[10:13]), Applied)
    after = MemoryProjectionStore()
    await fill(after, log[:13])
    assert await dumped(any_store) == await dumped(after)


async def test_the_schema_is_made_once_however_many_start_together(database_url: str) -> None:
    async with open_store(database_url) as store, open_store(database_url) as other:
        await asyncio.gather(*(each.ensure_schema() for each in (store, other, store, other)))
        assert await store.next_offsets() == {}


async def test_another_fold_cluster_or_topic_is_an_error_that_names_rebuild(any_store: ProjectionStore) -> None:
    await any_store.check_identity(1, "cluster", "topic", 6)
    await any_store.check_identity(1, "cluster", "topic", 6)
    for other in ((2, "cluster", "topic", 6), (1, "other", "topic", 6), (1, "cluster", "other", 12)):
        with pytest.raises(ReadModelMismatchError, match="rebuild"):
            await any_store.check_identity(*other)


async def test_enlarged_topics_are_refused_and_no_rebuild_is_advised(store: SqlProjectionStore) -> None:
    await store.check_identity(1, "cluster", "topic", 6)
    for fold_version in (1, 2):
        with pytest.raises(ReadModelMismatchError, match=r"had 6 partitions, and this is 12: enlarged topics can not be used") as refused:
            await store.check_identity(fold_version, "cluster", "topic", 12)
        assert "rebuild" not in str(refused.value)


async def test_a_read_model_of_an_older_release_takes_the_partitions_that_there_are(store: SqlProjectionStore) -> None:
    await store.check_identity(1, "cluster", "topic", 6)
    await store.writer.run(lambda connection: connection.execute(delete(meta).where(meta.c.name == "partitions")))
    await store.check_identity(1, "cluster", "topic", 12)
    with pytest.raises(ReadModelMismatchError, match="had 12 partitions"):
        await store.check_identity(1, "cluster", "topic", 6)


async def test_the_engine_goes_on_from_the_snapshot_as_from_the_log(any_store: ProjectionStore) -> None:
    world = busy_world()
    await fill(any_store, records(world.log))
    snapshot = await any_store.engine_snapshot(PARTITION)
    assert snapshot.next_offset == len(world.log)
    state = state_of(snapshot)
    for campaign in world.state.campaigns.values():
        found = state.campaigns[campaign.id]
        assert (found.status, found.next_position, found.total, found.calls) == (
            campaign.status,
            campaign.next_position,
            campaign.total,
            campaign.calls,
        )
        assert (found.complete, found.deleted, found.earliest_at) == (campaign.complete, campaign.deleted, campaign.earliest_at)
    assert state.awaited == world.state.awaited
    assert set(state.handled) == set(world.state.handled)
    assert {org: state.orgs[org].active for org in state.orgs} == {
        org: known.active for org, known in world.state.orgs.items() if org in state.orgs
    }


async def test_the_snapshot_is_the_same_however_its_campaigns_are_read(store: SqlProjectionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    world = busy_world()
    world.create(1, name="\0 \u00fc", schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"}, maxConcurrency=7)
    await fill(store, records(world.log))
    whole = await store.engine_snapshot(PARTITION)
    assert len(whole.campaigns) > 4
    for campaigns_at_once, small_spec, large_at_once in ((1, 0, 1), (2, 90, 2), (len(whole.campaigns), 0, 100)):
        monkeypatch.setattr(snapshot_reads, "_CAMPAIGNS_AT_ONCE", campaigns_at_once)
        monkeypatch.setattr(snapshot_reads, "_SMALL_SPEC", small_spec)
        monkeypatch.setattr(snapshot_reads, "_LARGE_SPECS_AT_ONCE", large_at_once)
        assert await store.engine_snapshot(PARTITION) == whole


async def test_a_take_over_does_not_hold_what_users_made_large(store: SqlProjectionStore) -> None:
    """24 MiB each of specs, of customers and of analyses, and of rejections; a page of campaigns may hold 4 MiB."""
    world, large = World(), "x" * 1024 * 1024
    for _ in range(3):
        world.create(8, maxConcurrency=8)
    for number in range(21):
        world.do(commands.DeleteCampaign(), world.create(1, org=f"org-{number}"), org=f"org-{number}")
    await fill(store, records(world.log))
    before = await store.engine_snapshot(PARTITION)
    assert (len(before.campaigns), len(before.active_calls)) == (24, 24)
    spec = orjson.dumps({"name": "n", "maxConcurrency": 8, "assistantOverrides": {"x": large}}).decode()
    async with writing(store.database) as connection:
        await connection.execute(update(campaigns).where(campaigns.c.deleted).values(spec=spec.replace("8", "10", 1)))
        await connection.execute(update(campaigns).where(~campaigns.c.deleted).values(spec=spec))
        await connection.execute(update(calls).where(calls.c.status == "queued").values(customer=large, analysis=large))
        await connection.execute(update(handled_commands).values(rejection=large))
    tracemalloc.start()
    try:
        assert await store.engine_snapshot(PARTITION) == before
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()


async def test_the_snapshot_of_an_empty_read_model_starts_at_offset_0(any_store: ProjectionStore) -> None:
    snapshot = await any_store.engine_snapshot(PARTITION)
    assert (snapshot.next_offset, snapshot.last_event_at, snapshot.campaigns) == (0, None, [])


async def test_a_dial_task_says_whom_to_call_from_which_number_and_as_whom(any_store: ProjectionStore) -> None:
    world = World()
    customer = {"number": "+14155550001", "assistantOverrides": {"variableValues": {"name": "Ada \x00 \u2603", "none": None}}}
    plan = [{"phoneNumberId": "p-7", "customers": [customer]}]
    created = draft(
        0, phoneNumberId=None, customers=None, dialPlan=plan, predialPlan={"enabled": True}, server={"url": "https://example.com"},
        assistantOverrides={"voice": "x"},
    )  # fmt: skip
    world.do(created, id="c")
    await fill(any_store, records(world.log))
    (call_id,) = folded(records(world.log)).calls
    tasks = await any_store.dial_tasks([call_id, "unknown"])
    task = tasks.pop(call_id)
    assert tasks == {}
    assert (task.phone_number_id, task.target_field, task.target_id, task.customer) == ("p-7", "assistantId", "a-1", customer)
    assert (task.server, task.predial_plan, task.assistant_overrides) == ({"url": "https://example.com"}, {"enabled": True}, {"voice": "x"})
    assert (task.attempt, task.call_status, task.campaign_status, task.paused) == (1, "queued", "in-progress", False)
    assert task.created_at == datetime(2030, 1, 1, 9, 0, tzinfo=UTC)


async def test_a_dial_task_is_claimed_from_its_claim_until_it_is_given_back(any_store: ProjectionStore) -> None:
    world, seen, place = World(), [], 0
    campaign_id = world.create(1)
    (call,) = world.active(campaign_id)
    steps: tuple[Callable[[], object], ...] = (list, lambda: world.claim(call), lambda: world.outcome(call, "not-placed"))
    for step in steps:
        step()
        await any_store.apply(PARTITION, place, len(world.log), records(world.log[place:], place))
        place = len(world.log)
        seen.append((await any_store.dial_tasks([call.id]))[call.id].claimed)
    assert seen == [False, True, False]


async def test_a_phone_number_id_that_postgresql_can_not_hold_does_not_stop_the_partition(any_store: ProjectionStore) -> None:
    log = records(World().do(draft()))
    log[1].data.phone_number_id = "p\x00"
    await fill(any_store, log)


async def test_what_was_handled_is_forgotten_after_32_days_of_event_time(any_store: ProjectionStore) -> None:
    world = World()
    campaign_id = world.create(1, id="old", schedulePlan={"earliestAt": "2031-01-01T00:00:00Z"})
    world.now += timedelta(days=32, seconds=1)
    world.do(commands.UpdateCampaign(name="new"), campaign_id, id="new")
    log = records(world.log)
    await fill(any_store, log)
    assert [command.command_id for command in (await any_store.engine_snapshot(PARTITION)).handled] == ["new"]


async def test_the_outbox_asks_once_for_each_shown_campaign_and_keeps_what_changed_meanwhile(store: SqlProjectionStore) -> None:
    world = busy_world()
    log = records(world.log)
    await fill(store, log, cuts=range(0, len(log), 7))
    box = SqlOutbox(store)
    entries = await box.unpublished(PARTITION, 100)
    shown = [campaign for campaign in folded(log).campaigns.values() if campaign.shown]
    assert {entry.campaign.id: entry.version for entry in entries} == {campaign.id: campaign.version for campaign in shown}
    before = len(world.log)
    (first, *_) = world.state.campaigns
    world.do(commands.UpdateCampaign(name="renamed"), first)
    await store.apply(PARTITION, before, len(world.log), records(world.log[before:], before))
    await box.published(entries)
    (left,) = await box.unpublished(PARTITION, 100)
    assert (left.campaign.id, left.version) == (first, left.campaign.version)
    assert await box.unpublished(PARTITION + 1, 100) == []


async def test_rebuilt_tables_are_swapped_in_when_no_partition_is_behind(store: SqlProjectionStore) -> None:
    identity = identity_of(1, "c", "t", 6)
    await store.check_identity(1, "c", "t", 6)
    log = records(spread(busy_world().log))
    await fill(store, log[:60])
    live = await dumped(store)
    for _ in range(3):
        fresh = await fresh_tables(store.writer)
        rebuilt = SqlProjectionStore(store.database, fresh, publishes=False)
        await rebuilt.ensure_schema()
        await rebuilt.apply(PARTITION, 0, 40, log[:40])
        assert await swap_in(store.writer, fresh, identity) is False
        await rebuilt.apply(PARTITION, 40, 60, log[40:60])
        assert b"".join([line async for line in dump(store.database, fresh)]) == live
        assert await swap_in(store.writer, fresh, identity) is True
        assert await dumped(store) == live
    await store.check_identity(1, "c", "t", 6)
    assert isinstance(await store.apply(PARTITION, 60, len(log), log[60:]), Applied)
    async with store.database.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(outbox))).scalar() == 4


async def rebuild(store: SqlProjectionStore, log: Sequence[LogEvent], fold_version: int = 1) -> None:
    """Put what the log folds into in place of the store's rows, as another process does."""
    fresh = await fresh_tables(store.writer)
    rebuilt = SqlProjectionStore(store.database, fresh, publishes=False)
    await rebuilt.ensure_schema()
    await fill(rebuilt, log)
    await rebuilt.close()
    assert await swap_in(store.writer, fresh, identity_of(fold_version, "c", "t", 6)) is True


async def test_after_a_rebuild_no_row_that_was_folded_before_it_is_folded_on(
    store: SqlProjectionStore, database_url: str, tmp_path: Path
) -> None:
    log = records(spread(busy_world().log))
    await store.check_identity(1, "c", "t", 6)
    await fill(store, log[:12])
    async with open_store(database_url) as live, open_store(f"sqlite:///{tmp_path}/whole.sqlite") as whole:
        await store.writer.run(lambda connection: connection.execute(update(campaigns).values(dialed=99)))
        await live.apply(PARTITION, 12, 14, log[12:14])
        await rebuild(store, log[:14])
        assert isinstance(await live.apply(PARTITION, 14, len(log), log[14:]), Applied)
        await fill(whole, log)
        assert await dumped(live) == await dumped(whole)


async def test_rows_that_another_fold_rebuilt_meanwhile_are_not_folded_on(store: SqlProjectionStore) -> None:
    log = records(spread(busy_world().log))
    await store.check_identity(1, "c", "t", 6)
    await fill(store, log[:30])
    await rebuild(store, log[:30], fold_version=2)
    before = await dumped(store)
    for _ in range(2):
        with pytest.raises(ReadModelMismatchError, match="fold version 2, this is 1"):
            await store.apply(PARTITION, 30, len(log), log[30:])
    assert await dumped(store) == before
    assert await store.next_offsets() == {PARTITION: 30}


async def test_what_a_rebuild_tells_otherwise_is_published_again_though_no_version_moved(store: SqlProjectionStore) -> None:
    log, box = records(spread(busy_world().log)), SqlOutbox(store)
    await fill(store, log)
    entries = await box.unpublished(PARTITION, 100)
    wrong = entries[0].campaign.id
    await store.writer.run(lambda connection: connection.execute(update(campaigns).where(campaigns.c.id == wrong).values(dialed=99)))
    await rebuild(store, log, fold_version=2)
    # they were sent as they were before
    await box.published(entries)
    (again,) = await box.unpublished(PARTITION, 100)
    assert (again.campaign.id, again.campaign.version) == (wrong, entries[0].campaign.version)
    assert again.campaign.dialed != 99
    await box.published([again])
    assert await box.unpublished(PARTITION, 100) == []


async def test_a_rebuild_replaces_tables_of_another_log_whatever_their_offsets(store: SqlProjectionStore) -> None:
    await store.check_identity(1, "c", "topic-before", 6)
    log = records(spread(busy_world().log))
    await fill(store, log)
    fresh = await fresh_tables(store.writer)
    rebuilt = SqlProjectionStore(store.database, fresh, publishes=False)
    await rebuilt.ensure_schema()
    await rebuilt.apply(PARTITION, 0, 10, log[:10])
    assert await swap_in(store.writer, fresh, identity_of(1, "c", "topic-after", 12)) is True
    assert await store.next_offsets() == {PARTITION: 10}
    await store.check_identity(1, "c", "topic-after", 12)
