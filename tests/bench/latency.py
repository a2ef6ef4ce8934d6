"""Owns how latencies are measured: of an event until HTTP shows it, and of a command until it is acknowledged, beside a raw client."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from events import commands as asked
from events.codec import encode_event
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, CAMPAIGN_STATE
from services.api.command_log import KafkaCommandLog
from services.runtime.clock import SystemClock
from services.runtime.kafka import make_consumer, make_producer, partition_of
from services.runtime.settings import Settings
from tests.bench.reading_rates import Bench, verdict
from tests.bench.report import Table
from tests.engine.given import World

_ACCEPTANCE_GOAL = 3
_READABLE_GOAL = 5
_TICK_SECONDS = 0.02
_POLL_SECONDS = 0.002
"""Between two looks at what HTTP shows: looks that follow each other at once would be a load of their own."""
_PLACE = "name-of-the-edit"


def _row(name: str, took: list[float]) -> tuple[str, ...]:
    return name, str(len(took)), f"{_at(took, 0.5):.2f}", f"{_at(took, 0.99):.2f}"


def _at(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))] * 1_000


def _goal(name: str, ours: list[float], raw: list[float], goal: float) -> str:
    ratios = [_at(ours, share) / _at(raw, share) for share in (0.5, 0.99)]
    found = ", ".join(f"{which} {ratio:.1f} {verdict(ratio <= goal)}" for which, ratio in zip(("p50", "p99"), ratios, strict=True))
    return f"{name}, goal at most {goal} times: {found}"


async def commands(bench: Bench) -> Table:
    """A command's append as the API does it, and a raw send of the same bytes, in turn; and a whole POST."""
    settings, times = bench.stack.settings, 100 if bench.environment.short else 400
    # a topic that no service of the stack reads
    topic, value = settings.topic_name(CAMPAIGN_STATE), b"x" * 600
    raw = make_producer(settings)
    log = KafkaCommandLog(lambda: make_producer(settings), lambda _: topic, lambda _: 0, SystemClock())
    await raw.start()
    await log.start()
    try:
        took: dict[str, list[float]] = {"raw send, acks=all": [], "append as in the API": []}
        for number in range(times + 10):
            for name, send in (
                ("raw send, acks=all", lambda: raw.send_and_wait(topic, value, b"bench", 0)),
                ("append as in the API", lambda: log.append(CAMPAIGN_COMMANDS, "bench", [value])),
            ):
                seconds = await _timed(send)
                if number >= 10:
                    took[name].append(seconds)
    finally:
        await log.stop()
        await raw.stop()
    async with bench.session() as http:
        posts = [await _timed(lambda: bench.create(http, 1)) for _ in range(times // 4)]
    rows = [*(_row(name, found) for name, found in took.items()), _row("POST to 201, readable", posts)]
    notes = [_goal("append", took["append as in the API"], took["raw send, acks=all"], _ACCEPTANCE_GOAL)]
    notes.append("a POST is answered when engine and projector are done with it, so that every read after it shows it")
    return Table("Acceptance of a command, milliseconds", ("what", "times", "p50", "p99"), rows, notes)


async def _timed(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


class _Writer:
    """Writes edits of campaigns, two campaigns on each partition, one to look at and one for the background, as the engine's events."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._topic = settings.topic_name(CAMPAIGN_EVENTS)
        self._partitions = settings.topic_partitions
        self._written = 0
        self._marked: list[bytes] = []
        self._background: list[bytes] = []
        self.campaigns: list[tuple[str, str]] = []
        """By partition: org and id of the campaign to look at."""

    async def create(self) -> None:
        orgs: dict[int, str] = {}
        number = 0
        while len(orgs) < self._partitions:
            number += 1
            orgs.setdefault(partition_of(f"latency-{number}", self._partitions), f"latency-{number}")
        for partition in range(self._partitions):
            for kind, edits in (("marked", self._marked), ("background", self._background)):
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
                self._written += 1
                value = _named(self._background[partition], str(self._written))
                if builder.append(key=b"k", value=value, timestamp=None) is None:
                    break
            sent.append(await self._producer.send_batch(builder, self._topic, partition=partition))
        await asyncio.gather(*sent)


def _named(edit: bytes, name: str) -> bytes:
    """The edit as one of its own: to another name, by another command."""
    return edit.replace(_PLACE.encode(), name.encode())


async def events(bench: Bench) -> Table:
    """One event after another, under a background of half of what the pipeline takes: until a raw consumer has it, until HTTP shows it."""
    settings, times = bench.stack.settings, 40 if bench.environment.short else 150
    producer, consumer = make_producer(settings), make_consumer(settings)
    await producer.start()
    await consumer.start()
    writer = _Writer(settings, producer)
    background = None
    try:
        await writer.create()
        org, campaign = writer.campaigns[0]
        key = await bench.stack.create_key(org)
        consumer.assign([TopicPartition(settings.topic_name(CAMPAIGN_EVENTS), number) for number in range(settings.topic_partitions)])
        await consumer.seek_to_end()
        async with aiohttp.ClientSession(bench.stack.api_url, headers={"Authorization": f"Bearer {key}"}) as http:
            url = f"/v2/campaign/{campaign}"
            rate = await _rate(writer, http, url, 6_000 if bench.environment.short else 30_000)
            background = asyncio.create_task(_flow(writer, rate / 2))
            seen = _Seen(consumer)
            following = asyncio.create_task(seen.follow())
            raw, readable = [], []
            for number in range(times):
                name = f"marked-{number}"
                began = time.perf_counter()
                consumed = seen.of(name)
                await writer.edit(0, name)
                await _until_named(http, url, name)
                readable.append(time.perf_counter() - began)
                raw.append(await consumed - began)
                await asyncio.sleep(0.01)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    finally:
        if background is not None:
            background.cancel()
            with suppress(asyncio.CancelledError):
                await background
        await consumer.stop()
        await producer.stop()
    rows = [_row("raw: consumed", raw), _row("readable over HTTP", readable)]
    notes = [_goal("readable", readable, raw, _READABLE_GOAL)]
    notes.append(f"at {rate / 2:,.0f} events a second, half of what went through when written at once; both of the same events")
    return Table("An event from its append, milliseconds", ("until", "times", "p50", "p99"), rows, notes)


async def _rate(writer: _Writer, http: aiohttp.ClientSession, url: str, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count // 3_000):
        await writer.many(3_000)
    await writer.edit(0, "last")
    await _until_named(http, url, "last")
    return count / (time.perf_counter() - began)


async def _flow(writer: _Writer, per_second: float) -> None:
    """Until cancelled; what could not be written in time is not made up for."""
    while True:
        began = time.perf_counter()
        await writer.many(max(6, int(per_second * _TICK_SECONDS)))
        await asyncio.sleep(max(0.0, _TICK_SECONDS - (time.perf_counter() - began)))


async def _until_named(http: aiohttp.ClientSession, url: str, name: str) -> None:
    text = f'"{name}"'.encode()
    while True:
        async with http.get(url) as response:
            if text in await response.read():
                return
        await asyncio.sleep(_POLL_SECONDS)


class _Seen:
    """When a raw consumer saw a name."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._waiting: dict[bytes, asyncio.Future[float]] = {}

    def of(self, name: str) -> "asyncio.Future[float]":
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[f'"{name}"'.encode()] = future
        return future

    async def follow(self) -> None:
        while True:
            fetched = await self._consumer.getmany(timeout_ms=1_000)
            at = time.perf_counter()
            for records in fetched.values():
                for record in records:
                    for name in [name for name in self._waiting if name in record.value]:
                        self._waiting.pop(name).set_result(at)
