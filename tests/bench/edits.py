"""Owns the load beside which the latency of events is measured: edits of campaigns, at a rate, or as fast as they are folded."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaProducer
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events import commands as asked
from events.codec import encode_event
from events.topics import CAMPAIGN_EVENTS
from projections.store.engine import open_database, reading
from projections.store.tables import LIVE
from services.runtime.kafka import partition_of
from services.runtime.settings import Settings
from tests.engine.given import World

_TICK_SECONDS = 0.02
_LOOK_SECONDS = 0.01
_AT_ONCE = 1_500
_MOST_AHEAD = 15_000
"""How far the log may be ahead of the read model while it is written as fast as it is folded: enough that nobody waits for more."""
_PLACE = "name-of-the-edit"


class Edits:
    """Writes edits of campaigns, two campaigns on each partition, one to look at and one for the load, as the engine's events."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._topic = settings.topic_name(CAMPAIGN_EVENTS)
        self._partitions = settings.topic_partitions
        self._marked: list[bytes] = []
        self._load: list[bytes] = []
        self.written = 0
        """Of the load."""
        self.campaigns: list[tuple[str, str]] = []
        """By partition: org and id of the campaign to look at."""

    async def create(self) -> None:
        orgs: dict[int, str] = {}
        number = 0
        while len(orgs) < self._partitions:
            number += 1
            orgs.setdefault(partition_of(f"latency-{number}", self._partitions), f"latency-{number}")
        for partition in range(self._partitions):
            for kind, edits in (("marked", self._marked), ("load", self._load)):
                world = World()
                campaign = world.create(1, org=orgs[partition], id=f"{kind}-{partition}")
                created = list(world.log)
                edit = world.do(asked.UpdateCampaign(name=_PLACE), campaign, org=orgs[partition], id=_PLACE)[0]
                edits.append(encode_event(edit, _PLACE))
                for count, event in enumerate(created):
                    await self._producer.send_and_wait(self._topic, encode_event(event, f"{kind}-{partition}-{count}"), b"k", partition)
                if kind == "marked":
                    self.campaigns.append((orgs[partition], campaign))

    async def edit(self, partition: int, name: str) -> None:
        """Return once it is acknowledged."""
        await self._producer.send_and_wait(self._topic, _named(self._marked[partition], name), b"k", partition)

    async def many(self, count: int) -> None:
        """So many edits, spread over the partitions, in batches."""
        sent = []
        for partition in range(self._partitions):
            builder = self._producer.create_batch()
            for _ in range(count // self._partitions):
                self.written += 1
                value = _named(self._load[partition], str(self.written))
                if builder.append(key=b"k", value=value, timestamp=None) is None:
                    break
            sent.append(await self._producer.send_batch(builder, self._topic, partition=partition))
        await asyncio.gather(*sent)

    @asynccontextmanager
    async def at_rate(self, per_second: float) -> AsyncIterator[None]:
        """So many a second in the background, a share of them every 20 ms. Where the writing falls behind, the rate is less."""
        flow = asyncio.create_task(self._flow(per_second))
        try:
            yield
        finally:
            flow.cancel()
            with suppress(asyncio.CancelledError):
                await flow

    async def _flow(self, per_second: float) -> None:
        began, first = time.perf_counter(), self.written
        while True:
            due = first + int(per_second * (time.perf_counter() - began)) - self.written
            await self.many(min(max(due, self._partitions), 2 * int(per_second * _TICK_SECONDS)))
            await asyncio.sleep(max(0.0, _TICK_SECONDS - (time.perf_counter() - began) % _TICK_SECONDS))


def _named(edit: bytes, name: str) -> bytes:
    """The edit as one of its own: to another name, by another command."""
    return edit.replace(_PLACE.encode(), name.encode())


async def folded_per_second(edits: Edits, settings: Settings, seconds: float) -> float:
    """How many edits a second the read model takes in so long a time, after a while, with some always waiting for it."""
    database = open_database(settings.read_model_url())
    try:
        flood = asyncio.create_task(_flood(edits, database))
        await asyncio.sleep(seconds / 4)
        before, began = await _folded(database), time.perf_counter()
        await asyncio.sleep(seconds)
        rate = (await _folded(database) - before) / (time.perf_counter() - began)
        flood.cancel()
        with suppress(asyncio.CancelledError):
            await flood
        return rate
    finally:
        await database.dispose()


async def _flood(edits: Edits, database: AsyncEngine) -> None:
    first = await _folded(database) - edits.written
    while True:
        if first + edits.written - await _folded(database) < _MOST_AHEAD:
            await edits.many(_AT_ONCE)
        else:
            await asyncio.sleep(_LOOK_SECONDS)


async def _folded(database: AsyncEngine) -> int:
    async with reading(database) as connection:
        return await connection.scalar(select(func.sum(LIVE.offsets.c.next_offset))) or 0
