"""Taking a partition over: whatever dies at whatever step, every command becomes fact once and no zombie writes."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced
from prometheus_client import CollectorRegistry

from events.codec import decode_event, encode_command
from events.envelope import Command, Event
from events.ids import campaign_id_of
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, Topic
from projections.engine_snapshot.snapshot import EngineSnapshot
from services.engine.decider.policy import Policy
from services.engine.observer import Observer
from services.engine.partition import PartitionEngine, TakeOverError
from services.engine.ports import Batch, CommandRecord, FencedError, PartitionLog
from services.engine.restore import state_of
from services.runtime.kafka import make_producer
from services.runtime.settings import Settings
from tests.engine.given import draft, names, through_the_log
from tests.engine.logs import KafkaLog, LogWorld, MemoryLog
from tests.support.clock import ManualClock
from tests.support.eventually import eventually

STEPS = ("pause", "fence", "committed", "snapshot", "replay", "resume", "commit")
_nonces = itertools.count()


class EmptyReadModel:
    """A read model that knows nothing, so that the engine folds from offset 0."""

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        return EngineSnapshot(0, None, [], [], [])


class Killed(BaseException):
    """The process is gone: no handler of the code under test may answer to this."""


class Dying:
    """A `PartitionLog` and `Snapshots` whose process dies right after (or, with `before`, instead of) one step."""

    def __init__(self, log: PartitionLog, step: str, before: bool) -> None:
        self.log, self.step, self.before = log, step, before

    def _at(self, step: str, before: bool) -> None:
        if (step, before) == (self.step, self.before):
            raise Killed(step)

    def owns(self, org_id: str) -> bool:
        return self.log.owns(org_id)

    def pause(self) -> None:
        self._at("pause", True)
        self.log.pause()
        self._at("pause", False)

    async def fence(self) -> None:
        self._at("fence", True)
        await self.log.fence()
        self._at("fence", False)

    async def committed(self) -> dict[Topic, int]:
        self._at("committed", True)
        positions = await self.log.committed()
        self._at("committed", False)
        return positions

    async def replay(self, from_offset: int) -> AsyncIterator[Sequence[bytes | None]]:
        self._at("replay", True)
        async for values in self.log.replay(from_offset):
            yield values
        self._at("replay", False)

    def resume(self, positions: dict[Topic, int]) -> None:
        self._at("resume", True)
        self.log.resume(positions)
        self._at("resume", False)

    async def poll(self, timeout_seconds: float, max_records: int) -> list[CommandRecord]:
        return await self.log.poll(timeout_seconds, max_records)

    async def commit(self, batch: Batch) -> None:
        self._at("commit", True)
        await self.log.commit(batch)
        self._at("commit", False)

    async def close(self) -> None:
        """The dead close nothing."""

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        self._at("snapshot", True)
        snapshot = await EmptyReadModel().engine_snapshot(partition)
        self._at("snapshot", False)
        return snapshot


def engine(log: Any, snapshots: Any = None, observer: Observer | None = None) -> PartitionEngine:
    return PartitionEngine(
        partition=0,
        log=log,
        snapshots=snapshots or EmptyReadModel(),
        clock=ManualClock(),
        policy=Policy(),
        nonce=lambda: f"n{next(_nonces)}",
        observer=observer or Observer(CollectorRegistry()),
    )


async def ask(world: LogWorld, *ids: str) -> None:
    for id in ids:
        await world.send(CAMPAIGN_COMMANDS, encode_command(Command(id, "org-1", draft(2), "/tests")))


async def facts(world: LogWorld) -> list[Event]:
    return [decode_event(value) for value in await world.events()]


async def created(world: LogWorld) -> list[str | None]:
    return [event.campaign_id for event in await facts(world) if names([event]) == ["CampaignCreated"]]


async def run_until_created(world: LogWorld, *ids: str) -> None:
    """A healthy owner takes over and works until these creations are on the log."""
    task = asyncio.create_task(engine(await world.new_owner()).run())
    wanted = {campaign_id_of("org-1", id) for id in ids}
    try:
        await eventually(lambda: created(world), lambda found: wanted <= set(found))
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [True, False])
async def test_whatever_step_an_owner_dies_at_its_successor_makes_each_command_fact_once(world: LogWorld, step: str, before: bool) -> None:
    await ask(world, "a", "b")
    dying = Dying(await world.new_owner(), step, before)
    with pytest.raises(Killed):
        await asyncio.wait_for(engine(dying, dying).run(), 20)
    await ask(world, "c")
    await run_until_created(world, "a", "b", "c")
    assert await created(world) == [campaign_id_of("org-1", id) for id in ("a", "b", "c")]
    events = await facts(world)
    assert sum(names([event]) == ["CallQueued"] for event in events) == 6
    through_the_log(events)


async def test_a_zombie_is_fenced_stops_and_leaves_nothing_on_the_log(world: LogWorld) -> None:
    observer = Observer(CollectorRegistry())
    zombie = asyncio.create_task(engine(await world.new_owner(), observer=observer).run())
    await ask(world, "a")
    await eventually(lambda: created(world))
    successor = await world.new_owner()
    successor.pause()
    await successor.fence()
    await ask(world, "b")
    with pytest.raises(FencedError):
        await asyncio.wait_for(zombie, 20)
    assert observer.taken == set()
    assert await created(world) == [campaign_id_of("org-1", "a")]
    await successor.close()
    await run_until_created(world, "b")
    assert await created(world) == [campaign_id_of("org-1", id) for id in ("a", "b")]


class FailingOnce:
    """Snapshots that work, beside a log whose first commit fails after it went through: an ambiguous commit."""

    def __init__(self, log: PartitionLog) -> None:
        self.log, self.failed = log, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def commit(self, batch: Batch) -> None:
        await self.log.commit(batch)
        if not self.failed:
            self.failed = True
            raise ConnectionError("the answer was lost")


async def test_an_ambiguous_commit_throws_the_state_away_and_takes_over_anew(world: LogWorld) -> None:
    await ask(world, "a", "b")
    log = FailingOnce(await world.new_owner())
    task = asyncio.create_task(engine(log).run())
    try:
        await ask(world, "c")
        await eventually(lambda: created(world), lambda found: len(found) >= 3)
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert log.failed
    assert await created(world) == [campaign_id_of("org-1", id) for id in ("a", "b", "c")]


async def test_a_take_over_that_fails_ends_with_a_message() -> None:
    class Away:
        async def engine_snapshot(self, partition: int) -> EngineSnapshot:
            raise ConnectionError("the read model is away")

    with pytest.raises(TakeOverError, match="partition 0 could not be taken over: the read model is away"):
        await engine(await MemoryLog().new_owner(), Away()).run()


async def test_an_unknown_event_on_the_log_stops_the_take_over() -> None:
    log = MemoryLog()
    await run_memory_command(log)
    value = log.committed_events[0]
    assert value is not None
    log.committed_events.append(value.replace(b"CampaignCreated.v1", b"CampaignCreated.v9"))
    with pytest.raises(TakeOverError, match=r"CampaignCreated\.v9 is unknown"):
        await engine(await log.new_owner()).run()


async def run_memory_command(log: MemoryLog) -> None:
    await ask(log, "a")
    await run_until_created(log, "a")


async def test_an_empty_snapshot_is_an_empty_state() -> None:
    state = state_of(await EmptyReadModel().engine_snapshot(0))
    assert (state.campaigns, state.last_event_at, state.deadlines.next_at()) == ({}, None, None)


async def test_a_read_model_that_is_ahead_of_the_log_is_refused(settings: Settings) -> None:
    class Ahead:
        async def engine_snapshot(self, partition: int) -> EngineSnapshot:
            return EngineSnapshot(7, None, [], [], [])

    async with AsyncExitStack() as stack:
        world = await KafkaLog.start(settings, stack)
        with pytest.raises(TakeOverError, match="rebuild"):
            await engine(await world.new_owner(), Ahead()).run()


async def test_what_a_killed_owner_left_open_is_aborted_by_its_successor(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        world = await KafkaLog.start(settings, stack)
        killed = make_producer(settings, transactional_id="engine-0")
        await killed.start()
        await killed.begin_transaction()
        await killed.send_and_wait(settings.topic_name(CAMPAIGN_EVENTS), b"never committed", b"org-1", 0)
        await ask(world, "a")
        await run_until_created(world, "a")
        assert b"never committed" not in await world.events()
        with pytest.raises(ProducerFenced):
            await killed.commit_transaction()
        await killed.stop()
