"""Two engines and two projectors share the partitions: they join, leave and die under load, and no row is wrong."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from infra.stack.child import Child
from services.runtime.kafka import make_producer
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.support.eventually import eventually
from tests.support.scaling import ACTIVE_LIMIT, CommandLoad, processes, rows_as_of, until_ended


async def test_processes_that_join_leave_and_die_under_load_make_no_wrong_row(settings: Settings, postgres_url: str) -> None:
    settings = settings.model_copy(update={"topic_partitions": 4, "database_url": postgres_url})
    await ensure_topics(settings)
    async with AsyncExitStack() as stack:
        producer = make_producer(settings)
        await producer.start()
        stack.push_async_callback(producer.stop)
        load = CommandLoad(settings, producer)
        enough = asyncio.Event()
        loading = asyncio.create_task(_steadily(load, enough))
        stack.callback(loading.cancel)
        first, second = processes(settings, 1), processes(settings, 2)
        for child in (*first, *second):
            stack.callback(child.kill)
        await _start(*first)
        await _start(*second)
        for child in (first[0], second[0]):
            await eventually(lambda child=child: _partitions(child), lambda held: held == 2)  # type: ignore[misc]
        for child in first:
            child.kill()
        await asyncio.sleep(1)
        await _start(*first)
        for child in second:
            assert await child.stop(), child.last_words()
        enough.set()
        await loading
        log = await until_ended(load, 90)
        assert set(log.count("CampaignCreated.v1").values()) == {1}
        assert set(log.count("CampaignEnded.v1").values()) == {1}
        assert set(log.count("CallEnded.v1").values()) == {load.contacts}
        assert log.count("CampaignCreated.v1").keys() == load.campaign_ids()
        assert 0 < log.most_active() <= ACTIVE_LIMIT
        assert await rows_as_of(settings, log, 60) == await log.reference()


async def _steadily(load: CommandLoad, enough: asyncio.Event) -> None:
    while load.sent < 1_000 and not enough.is_set():
        await load.send(4)
        await asyncio.sleep(0.1)


async def _partitions(engine: Child) -> int:
    """How many partitions the engine has taken over, by its own count."""
    async with aiohttp.ClientSession() as http, http.get(engine.ready_url.replace("/health/ready", "/metrics")) as response:
        lines = (await response.text()).splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("ringfold_engine_partitions "))


async def _start(*children: Child) -> None:
    async with aiohttp.ClientSession() as http:
        for child in children:
            child.start()
        for child in children:
            await eventually(lambda child=child: child.not_ready(http), lambda lack: lack is None, 60)  # type: ignore[misc]
