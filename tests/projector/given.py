"""Owns the words of the projector's tests: a log written as the engine writes it, and the projector as a process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaProducer

from events.codec import encode_event
from events.envelope import Event
from events.topics import CAMPAIGN_EVENTS
from projections.reading import LogEvent, read_events
from services.runtime.kafka import make_producer, partition_of
from services.runtime.settings import Settings
from tests.support.eventually import eventually

_ROOT = Path(__file__).parents[2]


class Log:
    """Writes events in transactions, and remembers what it committed, by partition."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._topic = settings.topic_name(CAMPAIGN_EVENTS)
        self._written = 0
        self.committed: dict[int, list[LogEvent]] = {}
        self.ends: dict[int, int] = {}

    async def write(self, events: Iterable[Event], abort: bool = False) -> None:
        """One transaction, which takes all of the events in or none."""
        await self._producer.begin_transaction()
        for event in events:
            await self.write_value(event.org_id, encode_event(event, f"e-{self._written}"), abort)
            self._written += 1
        await (self._producer.abort_transaction() if abort else self._producer.commit_transaction())

    async def write_value(self, org_id: str, value: bytes, abort: bool = False) -> None:
        partition = partition_of(org_id, self._settings.topic_partitions)
        sent = await self._producer.send_and_wait(self._topic, value, org_id.encode(), partition)
        if not abort:
            self.committed.setdefault(partition, []).extend(read_events([value]))
            self.ends[partition] = sent.offset + 1

    async def write_raw(self, org_id: str, value: bytes) -> None:
        """A transaction with one record that is not remembered."""
        await self._producer.begin_transaction()
        await self.write_value(org_id, value, abort=True)
        await self._producer.commit_transaction()


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Log]:
    producer = make_producer(settings, transactional_id="tests-log")
    await producer.start()
    try:
        yield Log(settings, producer)
    finally:
        await producer.stop()


class Projector:
    """`python -m services.projector` with the settings, under a port of its own."""

    def __init__(self, settings: Settings, port: int | None = None, arguments: Sequence[str] = ()) -> None:
        self._settings = settings
        self._port = port or settings.projector_port
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://{self._settings.host}:{self._port}"

    @property
    def log_file(self) -> Path:
        return self._settings.data_dir / f"projector-{self._port}.log"

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self) -> "Projector":
        values = {name.upper(): str(value) for name, value in self._settings.model_dump().items() if value is not None}
        self._settings.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.projector",
                *self._arguments,
                cwd=_ROOT,
                env=os.environ | values | {"PROJECTOR_PORT": str(self._port)},
                stderr=log,
                stdout=log,
            )
        return self

    async def ready(self) -> "Projector":
        assert await eventually(self.readiness, lambda seen: seen == 200, 40) == 200
        return self

    async def readiness(self) -> int:
        """The status of `/health/ready`; 0 while nothing answers."""
        assert self.process.returncode is None, "the projector ended by itself"
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/health/ready") as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """The exit code after SIGTERM."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 20)


@asynccontextmanager
async def running_projector(settings: Settings, port: int | None = None) -> AsyncIterator[Projector]:
    """A projector that has its partitions; killed at the end where the test did not stop it."""
    projector = await Projector(settings, port).start()
    try:
        yield await projector.ready()
    finally:
        if projector.process.returncode is None:
            await projector.kill()
