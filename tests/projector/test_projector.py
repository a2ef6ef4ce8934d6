"""The projector on real Kafka: what it folds and what it does not, and how it survives deaths, rivals and poison."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka.structs import TopicPartition

from events import commands
from events.envelope import Event
from events.topics import CAMPAIGN_EVENTS, CAMPAIGN_STATE
from projections.reading import LogEvent
from projections.store.identity import FOLD_VERSION
from projections.store.port import Applied, Fenced
from projections.store.sql_store import SqlProjectionStore
from projections.store.tables import LIVE
from services.projector.rebuild import rebuild
from services.runtime.kafka import make_consumer, partition_of
from services.runtime.log_identity import log_identity
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.engine.given import World
from tests.projections.given import dumped, open_store, spread
from tests.projector.given import Log, Projector, open_log, running_projector
from tests.support.eventually import eventually
from tests.support.ports import free_port


async def caught_up(store: SqlProjectionStore, log: Log) -> None:
    await eventually(store.next_offsets, lambda seen: all(seen.get(p, 0) >= end for p, end in log.ends.items()), 40)


async def reference(log: Log, directory: Path) -> bytes:
    """The dump of the rows that one fold of the committed log makes."""
    async with open_store(f"sqlite:///{directory / f'reference-{sum(log.ends.values())}.sqlite'}") as store:
        for partition, records in log.committed.items():
            await store.apply(partition, 0, len(records), records)
        return await dumped(store)


def busy(count: int, size: int = 8) -> list[Event]:
    """The log of some orgs, each with a campaign that runs to its end."""
    world = World()
    for number in range(count):
        org = f"org-{number}"
        campaign_id = world.create(size, org=org, id=f"create-{number}", maxConcurrency=3)
        while world.active(campaign_id):
            for call in world.active(campaign_id):
                world.claim(call, org=org)
                world.report(call, "ringing", org=org)
                world.report(call, "ended", org=org, ended_reason="customer-ended-call", cost=0.1, final=True)
    return spread(world.log)


async def write_in_pieces(log: Log, events: Sequence[Event], size: int = 40, pause_seconds: float = 0.0) -> None:
    """Transactions, every seventh of them aborted first."""
    for number, start in enumerate(range(0, len(events), size)):
        piece = events[start : start + size]
        if number % 7 == 0:
            await log.write(piece, abort=True)
        await log.write(piece)
        await asyncio.sleep(pause_seconds)


@pytest.fixture
def data_dir(settings: Settings) -> None:
    settings.data_dir.mkdir()


@pytest.fixture
async def topics(settings: Settings, data_dir: None) -> Settings:
    await ensure_topics(settings)
    return settings


async def test_committed_events_become_rows_and_aborted_ones_do_not(topics: Settings, tmp_path: Path) -> None:
    async with open_log(topics) as log, running_projector(topics) as projector, open_store(topics.read_model_url()) as store:
        await write_in_pieces(log, busy(4))
        await caught_up(store, log)
        assert await dumped(store) == await reference(log, tmp_path)
        assert await projector.stop() == 0


async def test_postgresql_holds_the_same_rows(topics: Settings, postgres_url: str, tmp_path: Path) -> None:
    settings = topics.model_copy(update={"database_url": Settings(database_url=postgres_url).database_url})
    async with open_log(settings) as log, running_projector(settings), open_store(settings.read_model_url()) as store:
        await write_in_pieces(log, busy(3))
        await caught_up(store, log)
        assert await dumped(store) == await reference(log, tmp_path)


async def test_killed_while_loaded_and_started_again_it_counts_nothing_twice_and_misses_nothing(topics: Settings, tmp_path: Path) -> None:
    async with open_log(topics) as log, open_store(topics.read_model_url()) as store:
        writing = asyncio.create_task(write_in_pieces(log, busy(24, 12), size=25, pause_seconds=0.03))
        for seconds in (0.4, 0.7, 0.2):
            async with running_projector(topics) as projector:
                await asyncio.sleep(seconds)
                await projector.kill()
        await writing
        async with running_projector(topics):
            await caught_up(store, log)
        assert await dumped(store) == await reference(log, tmp_path)


async def test_two_that_share_the_partitions_and_rebalance_while_loaded_write_no_wrong_row(topics: Settings, tmp_path: Path) -> None:
    async with open_log(topics) as log, running_projector(topics) as first, open_store(topics.read_model_url()) as store:
        writing = asyncio.create_task(write_in_pieces(log, busy(24, 12), size=25, pause_seconds=0.05))
        async with running_projector(topics, free_port()):
            await asyncio.sleep(0.5)
            assert await first.stop() == 0
            await asyncio.sleep(0.5)
            async with running_projector(topics):
                await writing
                await caught_up(store, log)
        assert await dumped(store) == await reference(log, tmp_path)


async def test_the_groups_own_offsets_never_count(topics: Settings, tmp_path: Path) -> None:
    async with open_log(topics) as log:
        await write_in_pieces(log, busy(3))
        async with running_projector(topics) as projector, open_store(topics.read_model_url()) as store:
            await caught_up(store, log)
            assert await projector.stop() == 0
        for file in topics.data_dir.glob("read-model.sqlite*"):
            file.unlink()
        async with running_projector(topics), open_store(topics.read_model_url()) as store:
            await caught_up(store, log)
            assert await dumped(store) == await reference(log, tmp_path)


async def test_an_unknown_event_stops_its_partition_loudly_and_no_other(topics: Settings) -> None:
    orgs = {partition_of(f"org-{number}", 2): f"org-{number}" for number in range(20)}
    world = World()
    for org in orgs.values():
        world.create(2, org=org, id=f"create-{org}")
    poison = {
        "specversion": "1.0",
        "id": "x",
        "source": "/t",
        "type": "CallTeleported.v1",
        "orgid": orgs[0],
        "time": "2030-01-01T09:00:00.000Z",
    }
    async with open_log(topics) as log, running_projector(topics) as projector, open_store(topics.read_model_url()) as store:
        await log.write([event for event in world.log if event.org_id == orgs[0]])
        await caught_up(store, log)
        before = (await store.next_offsets())[0]
        await log.write_raw(orgs[0], orjson.dumps(poison))
        await eventually(projector.readiness, lambda status: status == 503)
        await log.write([event for event in world.log if event.org_id == orgs[1]])
        await eventually(store.next_offsets, lambda seen: seen.get(1, 0) >= log.ends[1])
        assert (await store.next_offsets())[0] == before
        async with aiohttp.ClientSession() as session, session.get(f"{projector.url}/health/ready") as answer:
            assert "CallTeleported.v1" in (await answer.json())["missing"]["partitions"]
        assert await projector.stop() == 0


async def test_a_database_that_fails_ends_the_process(topics: Settings) -> None:
    async with open_log(topics) as log, running_projector(topics) as projector:
        async with open_store(topics.read_model_url()) as store:
            await store.writer.run(lambda connection: LIVE.calls.drop(connection))
        await log.write(busy(1))
        assert await asyncio.wait_for(projector.process.wait(), 20) == 1


async def test_a_read_model_of_another_log_is_an_error_that_names_rebuild(topics: Settings) -> None:
    async with open_store(topics.read_model_url()) as store:
        await store.check_identity(1, "another-cluster", "another-topic", topics.topic_partitions)
    projector = await Projector(topics).start()
    assert await asyncio.wait_for(projector.process.wait(), 20) == 2
    assert "rebuild" in projector.log_file.read_text()


async def test_neither_the_projector_nor_a_rebuild_takes_enlarged_topics(topics: Settings) -> None:
    async with open_store(topics.read_model_url()) as store:
        identity = await log_identity(topics, topics.topic_name(CAMPAIGN_EVENTS))
        await store.check_identity(FOLD_VERSION, *identity, topics.topic_partitions - 1)
    for arguments in ([], ["rebuild"]):
        projector = await Projector(topics, arguments=arguments).start()
        assert await asyncio.wait_for(projector.process.wait(), 20) == 2
        assert "enlarged topics can not be used" in projector.log_file.read_text()
        projector.log_file.unlink()


async def test_a_rebuild_beside_the_live_projector_gives_the_same_rows(topics: Settings, tmp_path: Path) -> None:
    async with open_log(topics) as log, running_projector(topics) as live, open_store(topics.read_model_url()) as store:
        events = busy(12)
        await write_in_pieces(log, events[: len(events) // 2])
        await caught_up(store, log)
        rebuilding = await Projector(topics, free_port(), ["rebuild"]).start()
        await write_in_pieces(log, events[len(events) // 2 :], pause_seconds=0.02)
        assert await asyncio.wait_for(rebuilding.process.wait(), 40) == 0
        await caught_up(store, log)
        assert await dumped(store) == await reference(log, tmp_path)
        await write_in_pieces(log, [event for event in busy(13) if event.org_id == "org-12"])
        await caught_up(store, log)
        assert await dumped(store) == await reference(log, tmp_path)
        assert await live.stop() == 0


async def test_a_projector_whose_rows_another_release_rebuilt_ends_before_it_writes_any(
    topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.projector.rebuild.FOLD_VERSION", FOLD_VERSION + 1)
    events = busy(2)
    async with open_log(topics) as log, running_projector(topics) as older, open_store(topics.read_model_url()) as store:
        await log.write(events[:-1])
        await caught_up(store, log)
        await rebuild(topics, asyncio.Event())
        before = await dumped(store)
        await log.write(events[-1:])
        assert await asyncio.wait_for(older.process.wait(), 20) == 1
        assert await dumped(store) == before
        assert f"fold version {FOLD_VERSION + 1}, this is {FOLD_VERSION}" in older.log_file.read_text()


async def test_a_rebuild_of_an_empty_database_gives_the_same_rows(topics: Settings, tmp_path: Path) -> None:
    async with open_log(topics) as log:
        await write_in_pieces(log, busy(3))
        rebuilding = await Projector(topics, arguments=["rebuild"]).start()
        assert await asyncio.wait_for(rebuilding.process.wait(), 30) == 0
        async with open_store(topics.read_model_url()) as store:
            assert await dumped(store) == await reference(log, tmp_path)


async def test_a_rebuild_takes_no_more_bytes_at_once_than_the_live_projector(
    topics: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    class Counted(SqlProjectionStore):
        async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
            events = list(records)
            taken.append(len(events))
            return await super().apply(partition, start_offset, next_offset, events)

    monkeypatch.setattr("services.projector.rebuild.SqlProjectionStore", Counted)
    monkeypatch.setattr("services.projector.rebuild.MAX_BYTES", 1)
    async with open_log(topics) as log:
        await write_in_pieces(log, busy(2, 2))
        await rebuild(topics, asyncio.Event())
        async with open_store(topics.read_model_url()) as store:
            assert await dumped(store) == await reference(log, tmp_path)
        # the log is written one record a batch, and a turn ends with the batch that spends its bytes
        assert sum(taken) == sum(map(len, log.committed.values()))
        assert max(taken) == 1


async def summaries(settings: Settings) -> dict[str, Any]:
    """What a reader of the whole of `campaign-state` knows in the end; a tombstone is `None`."""
    topic = settings.topic_name(CAMPAIGN_STATE)
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(settings.topic_partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        known = {}
        for partition, end in (await consumer.end_offsets(partitions)).items():
            while await consumer.position(partition) < end:
                for record in (await consumer.getmany(partition, timeout_ms=200)).get(partition, []):
                    known[record.key.decode()] = None if record.value is None else orjson.loads(record.value)
        return known
    finally:
        await consumer.stop()


async def test_campaign_state_tells_the_newest_summary_of_each_campaign(topics: Settings) -> None:
    world = World()
    first = world.create(4, maxConcurrency=2)
    gone = world.create(1)
    async with open_log(topics) as log, running_projector(topics) as projector:
        await log.write(world.log)
        await eventually(lambda: summaries(topics), lambda known: known.keys() == {first, gone})
        before = len(world.log)
        world.do(commands.DeleteCampaign(), gone)
        world.run_out(first)
        await log.write(world.log[before:])
        known = await eventually(lambda: summaries(topics), lambda known: known[gone] is None and known[first]["status"] == "ended")
        assert known[first] | {"updatedAt": ""} == {
            "id": first,
            "orgId": "org-1",
            "status": "ended",
            "endedReason": "campaign.ended.success",
            "version": sum(event.campaign_id == first for event in world.log),
            "name": "Spring",
            "assistantId": "a-1",
            "phoneNumberId": "p-1",
            "maxConcurrency": 2,
            "callsCounterScheduled": 0,
            "callsCounterQueued": 0,
            "callsCounterInProgress": 0,
            "callsCounterEnded": 4,
            "callsCounterEndedVoicemail": 0,
            "contactCounters": {"pending": 0, "dispatched": 0, "completed": 4, "failed": 0, "skipped": 0, "predialFailed": 0},
            "callMetrics": {"dialed": 4, "connected": 4},
            "createdAt": "2030-01-01T09:00:00.000Z",
            "startedAt": "2030-01-01T09:00:00.000Z",
            "endedAt": "2030-01-01T09:00:00.000Z",
            "updatedAt": "",
        }
        assert await projector.stop() == 0
