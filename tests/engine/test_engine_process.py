"""The engine as one process runs it: assignments, deadlines on a moved clock, and two that share the partitions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError
from prometheus_client import CollectorRegistry

from events.codec import decode_event, encode_command
from events.envelope import Command
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS
from projections.store.engine import open_database
from projections.store.identity import FOLD_VERSION
from projections.store.sql_store import SqlProjectionStore
from services.engine.__main__ import serve_engine
from services.engine.bootstrap import Engine
from services.engine.observer import Observer
from services.engine.settings import EngineSettings
from services.runtime import kafka as clients
from services.runtime.errors import StartupError
from services.runtime.kafka import partition_of
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.engine.given import draft, names
from tests.engine.logs import KafkaLog
from tests.support.clock import ManualClock
from tests.support.eventually import eventually

_YEAR_SECONDS = 366 * 86_400.0


@asynccontextmanager
async def running(settings: Settings, clock: ManualClock) -> AsyncIterator[Engine]:
    database = open_database(settings.read_model_url())
    store = SqlProjectionStore(database)
    await store.ensure_schema()
    engine = Engine(EngineSettings(**settings.model_dump()), store, clock, Observer(CollectorRegistry()))
    stop = asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    try:
        await eventually(engine.problem, lambda problem: problem is None)
        yield engine
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)
        await database.dispose()


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[KafkaLog]:
    settings.data_dir.mkdir()
    async with AsyncExitStack() as stack:
        yield await KafkaLog.start(settings, stack)


async def facts(log: KafkaLog, org: str) -> list[str]:
    partition = partition_of(org, log.settings.topic_partitions)
    values = await log.read(CAMPAIGN_EVENTS, partition)
    return [name for value, _ in values for event in [decode_event(value)] if event.org_id == org for name in names([event])]


async def test_a_schedule_in_the_future_starts_when_the_clock_is_moved_there(log: KafkaLog, settings: Settings) -> None:
    clock = ManualClock()
    async with running(settings, clock):
        command = Command("c", "org-a", draft(2, schedulePlan={"earliestAt": "2030-01-02T09:00:00Z"}), "/tests")
        await log.send(CAMPAIGN_COMMANDS, encode_command(command), b"org-a")
        await eventually(lambda: facts(log, "org-a"), lambda found: "ContactsCompleted" in found)
        clock.move(hours=23, minutes=59)
        await asyncio.sleep(0.6)
        assert "CallQueued" not in await facts(log, "org-a")
        clock.move(minutes=1)
        found = await eventually(lambda: facts(log, "org-a"), lambda found: found.count("CallQueued") == 2)
        assert found[-3:] == ["CampaignStarted", "CallQueued", "CallQueued"]


async def test_two_engines_share_the_partitions_and_one_takes_all_when_the_other_stops(log: KafkaLog, settings: Settings) -> None:
    orgs = [log.org_of(0), log.org_of(1)]
    clock = ManualClock()
    async with running(settings, clock) as first:
        async with running(settings, clock) as second:
            await eventually(lambda: _taken(first, second), lambda taken: sorted(taken) == [(0,), (1,)])
            for org in orgs:
                await log.send(CAMPAIGN_COMMANDS, encode_command(Command("c", org, draft(1), "/tests")), org.encode())
            for org in orgs:
                await eventually(lambda org=org: facts(log, org), lambda found: "CallQueued" in found)  # type: ignore[misc]
        await eventually(lambda: _taken(first), lambda taken: taken == [(0, 1)], 30)
        for org in orgs:
            assert (await facts(log, org)).count("CampaignCreated") == 1


async def test_a_spare_engine_takes_over_however_long_it_had_no_partition(one_partition: Settings) -> None:
    async with _worker_and_spare(one_partition, ManualClock()) as (worker, spare):
        _let_a_year_pass(spare)
        await worker.aclose()
        await eventually(lambda: _taken(spare), lambda taken: taken == [(0,)])


async def test_an_engine_that_is_out_of_its_group_is_not_ready(one_partition: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_LONGEST_IDLE_MS", 60_000)
    async with _worker_and_spare(one_partition, ManualClock()) as (_, spare):
        _let_a_year_pass(spare)
        assert await eventually(spare.problem, lambda problem: problem is not None) == "not in the group"


async def test_a_spare_engine_that_the_group_refuses_ends(one_partition: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused() -> bool:
        raise GroupAuthorizationFailedError("engine")

    async def look(clock: ManualClock) -> None:
        async with _worker_and_spare(one_partition, clock) as (_, spare):
            coordinator = _consumer(spare)._coordinator
            monkeypatch.setattr(coordinator, "_do_heartbeat", refused)
            await eventually(lambda: asyncio.sleep(0, coordinator._pending_exception))
            clock.move(seconds=1)

    with pytest.raises(GroupAuthorizationFailedError):
        await look(ManualClock())


@pytest.fixture
async def one_partition(settings: Settings) -> Settings:
    settings.data_dir.mkdir()
    narrow = settings.model_copy(update={"topic_partitions": 1})
    await ensure_topics(narrow)
    return narrow


@asynccontextmanager
async def _worker_and_spare(settings: Settings, clock: ManualClock) -> AsyncIterator[tuple[AsyncExitStack, Engine]]:
    """What stops the engine that has the only partition, and the engine that has none."""
    async with AsyncExitStack() as one, AsyncExitStack() as another:
        engines = [(stack, await stack.enter_async_context(running(settings, clock))) for stack in (one, another)]
        await eventually(lambda: _taken(*(engine for _, engine in engines)), lambda taken: sorted(taken) == [(), (0,)])
        (worker, _), (_, spare) = sorted(engines, key=lambda found: not found[1].observer.taken)
        yield worker, spare


def _let_a_year_pass(spare: Engine) -> None:
    """Nobody polled in it, as aiokafka counts; a poll of its that was cut off counts as one that goes on."""
    counting = _consumer(spare)._subscription
    counting._fetch_count = 0
    counting._last_fetch_ended -= _YEAR_SECONDS


def _consumer(engine: Engine) -> AIOKafkaConsumer:
    assert engine.workers is not None
    return engine.workers.consumer


async def _taken(*engines: Engine) -> list[tuple[int, ...]]:
    return [tuple(sorted(engine.observer.taken)) for engine in engines]


async def test_an_engine_does_not_start_on_a_read_model_of_another_log(log: KafkaLog, settings: Settings) -> None:
    database = open_database(settings.read_model_url())
    store = SqlProjectionStore(database)
    await store.ensure_schema()
    await store.check_identity(FOLD_VERSION, "another-cluster", "another-topic", settings.topic_partitions)
    await store.close()
    await database.dispose()
    with pytest.raises(StartupError, match=r"another-cluster.*rebuild"):
        await serve_engine(EngineSettings(**settings.model_dump()), asyncio.Event())
