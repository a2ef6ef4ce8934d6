"""Owns how latencies are measured: of an event until HTTP shows it, and of a command until it is acknowledged, beside a raw client."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, CAMPAIGN_STATE
from services.api.command_log import KafkaCommandLog
from services.runtime.clock import SystemClock
from services.runtime.kafka import make_consumer, make_producer
from tests.bench.edits import Edits, folded_per_second
from tests.bench.reading_rates import Bench, verdict
from tests.bench.report import Table

_ACCEPTANCE_GOAL = 3
_READABLE_GOAL = 5
_PAUSE_SECONDS = 0.01
_POLL_SECONDS = 0.002
"""Between two looks at what HTTP shows: looks that follow each other at once would be a load of their own."""


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


async def events(bench: Bench) -> Table:
    """One event after another, under half of the load that the chain sustains: until a raw consumer has it, until HTTP shows it."""
    settings, short = bench.stack.settings, bench.environment.short
    times, seconds = (60, 3.0) if short else (300, 8.0)
    producer, consumer = make_producer(settings), make_consumer(settings)
    await producer.start()
    await consumer.start()
    edits = Edits(settings, producer)
    try:
        await edits.create()
        org, campaign = edits.campaigns[0]
        key = await bench.stack.create_key(org)
        consumer.assign([TopicPartition(settings.topic_name(CAMPAIGN_EVENTS), number) for number in range(settings.topic_partitions)])
        await consumer.seek_to_end()
        seen = _Seen(consumer)
        following = asyncio.create_task(seen.follow())
        async with aiohttp.ClientSession(bench.stack.api_url, headers={"Authorization": f"Bearer {key}"}) as http:
            looks = _Looks(edits, seen, http, f"/v2/campaign/{campaign}")
            async with looks.going_on():
                sustained = await folded_per_second(edits, settings, seconds)
            async with edits.at_rate(sustained / 2):
                await looks.many(times // 10)
                written, began = edits.written, time.perf_counter()
                raw, readable = await looks.many(times)
                rate = (edits.written - written) / (time.perf_counter() - began)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    finally:
        await consumer.stop()
        await producer.stop()
    rows = [_row("raw: consumed", raw), _row("readable over HTTP", readable)]
    notes = [_goal("readable", readable, raw, _READABLE_GOAL)]
    notes.append(
        f"at {rate:,.0f} events a second; half of what the read model takes steadily is {sustained / 2:,.0f}, measured just before for"
    )
    notes.append(
        f"{seconds:.0f} s with some always waiting. Both with all at work here: broker, services, writer, raw consumer, and these looks"
    )
    return Table("An event from its append, milliseconds", ("until", "times", "p50", "p99"), rows, notes)


class _Looks:
    """Writes one edit at a time, and looks when it is there."""

    def __init__(self, edits: Edits, seen: "_Seen", http: aiohttp.ClientSession, url: str) -> None:
        self._edits = edits
        self._seen = seen
        self._http = http
        self._url = url
        self._count = 0

    async def many(self, times: int) -> tuple[list[float], list[float]]:
        """Seconds until each was consumed, and until HTTP showed it."""
        raw, readable = [], []
        for _ in range(times):
            self._count += 1
            name = f"marked-{self._count}"
            began = time.perf_counter()
            consumed = self._seen.of(name)
            await self._edits.edit(0, name)
            await _until_named(self._http, self._url, name)
            readable.append(time.perf_counter() - began)
            raw.append(await consumed - began)
            await asyncio.sleep(_PAUSE_SECONDS)
        return raw, readable

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """In the background, for what they cost."""
        going = asyncio.create_task(self.many(1_000_000))
        try:
            yield
        finally:
            going.cancel()
            with suppress(asyncio.CancelledError):
                await going


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
                        waiting = self._waiting.pop(name)
                        if not waiting.done():
                            waiting.set_result(at)
