"""Owns the API of a test: the real app, own store and read model in one process, on the real decider and a log in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from events.codec import decode_command, encode_event
from events.envelope import Command
from events.topics import WEBHOOK_COMMANDS, Topic
from projections.queries.read_model import SqlReadModel
from projections.reading import read_events
from projections.store.engine import open_database
from projections.store.sql_store import SqlProjectionStore
from services.api.app import make_app
from services.api.auth import Authenticator
from services.api.bodies import BodyReader
from services.api.command_log import LogUnavailableError, MaybeWrittenError
from services.api.context import ApiContext
from services.api.expectations import Expectations
from services.api.freshness import Freshness
from services.api.keys import KeyStore
from services.api.known_answers import KnownAnswers
from services.api.log_answers import LogAnswers
from services.api.metrics import ApiMetrics
from services.api.own_store import metadata
from services.api.pages import PageRoom
from services.api.rate_limits import RateLimits, TokenBuckets
from services.api.remembered_requests import RememberedRequests
from services.api.repeats import Repeats
from services.api.requests_in_progress import RequestsInProgress
from services.api.upload_places import UploadPlaces
from services.api.uploads import Uploads
from services.api.webhook_index import WebhookIndex
from services.api.webhook_replays import WebhookReplays
from services.api.writing import Writer
from services.runtime.health import Health
from services.runtime.own_store import ensure_tables
from tests.api.webhooks import MemoryWebhooks
from tests.engine.given import World

CALLBACK_KEY = b"secret"
CALLBACK_BASE = "https://calls.example.com"
TWILIO_TOKEN = "12345"


class WakefulClock:
    """A `Clock` whose time is moved by hand and whose sleepers never sleep."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self._world.now

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass
class MemoryLog:
    """`CommandLog` and `EventLog` of one partition: what is appended is decided and, unless told otherwise, projected at once."""

    store: SqlProjectionStore
    webhooks: MemoryWebhooks
    world: World = field(default_factory=World)
    expectations: Expectations = field(default_factory=Expectations)
    events: list[bytes] = field(default_factory=list)
    appended: list[Command] = field(default_factory=list)
    fault: Exception | None = None
    engine_runs: bool = True
    projector_runs: bool = True
    undecided: list[Command] = field(default_factory=list)
    projected: int = 0
    is_followed: bool = True
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def append(self, topic: Topic, org_id: str, records: Iterable[bytes]) -> None:
        if isinstance(self.fault, LogUnavailableError):
            raise self.fault
        if topic is WEBHOOK_COMMANDS:
            for record in records:
                await self.webhooks.take(record)
            return
        commands = [decode_command(record) for record in records]
        self.appended += commands
        self.undecided += commands
        if isinstance(self.fault, MaybeWrittenError):
            raise self.fault
        await self.decide()

    async def decide(self) -> None:
        """Let the engine handle what it has not, and the projector what it may."""
        while self.engine_runs and self.undecided:
            command = self.undecided.pop(0)
            events = self.world.do(command.data, command.campaign_id, command.call_id, command.org_id, command.id, command.request_hash)
            first = len(self.events)
            self.events += [encode_event(event, f"e-{first + number}") for number, event in enumerate(events)]
            self.expectations.read(0, list(enumerate(self.events[first:], first)), caught_up=True)
        await self.project()

    async def project(self) -> None:
        async with self.turn:
            end = len(self.events)
            if self.projector_runs and self.projected < end:
                records = read_events(self.events[self.projected : end])
                await self.store.apply(0, self.projected, end, records)
                self.projected = end

    async def between(self, partition: int, first_offset: int, next_offset: int) -> AsyncIterator[bytes]:
        for value in self.events[first_offset:next_offset]:
            yield value


@dataclass
class Service:
    """The running API and what surrounds it; requests go out with the key of `org-1` unless told otherwise."""

    client: "TestClient[Any, Any]"
    log: MemoryLog
    context: ApiContext
    keys: KeyStore
    clock: WakefulClock
    headers: dict[str, str]
    registry: CollectorRegistry

    async def ask(self, method: str, path: str, json: Any = None, **options: Any) -> ClientResponse:
        headers = self.headers | options.pop("headers", {})
        return await self.client.request(method, path, json=json, headers=headers, **options)

    async def answer(self, method: str, path: str, json: Any = None, status: int = 200, **options: Any) -> Any:
        """The JSON of an answer that must have this status."""
        response = await self.ask(method, path, json, **options)
        body = await response.json()
        assert response.status == status, body
        return body

    async def key_of(self, org_id: str) -> dict[str, str]:
        _, secret = await self.keys.create(org_id, "test", self.clock.now())
        return {"Authorization": f"Bearer {secret}"}

    async def create(self, status: int = 201, path: str = "/campaign", **fields: Any) -> Any:
        return await self.answer("POST", path, draft(**fields), status=status)

    async def create_without_hearing(self) -> None:
        """The connection of a creation is dropped before its answer; then the engine carries it out."""
        self.log.engine_runs = False
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.3):
                await self.create()
        self.log.engine_runs = True
        await self.log.decide()


LATER = {"earliestAt": "2030-01-02T09:00:00Z"}


def draft(customers: int | list[dict[str, Any]] = 2, **fields: Any) -> dict[str, Any]:
    """A campaign that waits for tomorrow, with so many customers or with these."""
    contacts = customers
    if isinstance(customers, int):
        contacts = [{"number": f"+1415555{number:04d}", "name": f"Customer {number}"} for number in range(customers)]
    spec = {"name": "Spring", "assistantId": "a-1", "phoneNumberId": "p-1", "schedulePlan": LATER, "customers": contacts}
    return {field: value for field, value in (spec | fields).items() if value is not ...}


@asynccontextmanager
async def running_service(directory: Path, database_url: str | None = None, **options: Any) -> AsyncIterator[Service]:
    """`options`: the spans and bounds below by their names, `calls_as_strings`, and `key_rate` and `org_rate` in requests a second."""
    read_database = open_database(database_url or f"sqlite:///{directory / 'read-model.sqlite'}")
    is_shared = database_url is not None and not database_url.startswith("sqlite")
    own_url = database_url if database_url and is_shared else f"sqlite:///{directory / 'api.sqlite'}"
    own_database = open_database(own_url, options.get("busy_seconds", 3.0))
    store = SqlProjectionStore(read_database)
    await store.ensure_schema()
    await ensure_tables(own_database, metadata)
    index_database = open_database(f"sqlite:///{directory / 'dead-webhooks.sqlite'}")
    webhooks = MemoryWebhooks(WebhookIndex(index_database))
    await webhooks.index.clear()
    log = MemoryLog(store, webhooks)
    clock = WakefulClock(log.world)
    health = Health()
    read_model = SqlReadModel(read_database)
    keys = KeyStore(own_database, lambda: uuid4().hex)
    writer = Writer(
        log=log,
        events=log,
        expectations=log.expectations,
        freshness=Freshness(read_model, clock),
        read_model=read_model,
        log_answers=LogAnswers(log),
        hold_seconds=options.get("hold_seconds", 10.0),
        patience_seconds=options.get("patience_seconds", 5.0),
        upload_seconds=options.get("upload_seconds", 10.0),
        max_waiting=options.get("max_waiting", 100),
    )

    def draw_id() -> str:
        return str(uuid4())

    context = ApiContext(
        authenticator=Authenticator(keys, clock, options.get("key_outage_seconds", 300.0)),
        rate_limits=RateLimits(
            TokenBuckets(clock, options.get("key_rate", 0.0), options.get("key_rate", 0.0) * 2),
            TokenBuckets(clock, options.get("org_rate", 0.0), options.get("org_rate", 0.0) * 2),
        ),
        pages=PageRoom(),
        bodies=BodyReader(2, room_seconds=options.get("room_seconds", 10.0)),
        callback_bodies=BodyReader(1),
        uploads=Uploads(
            directory / "uploads",
            options.get("max_upload_bytes", 10_000_000),
            10.0,
            UploadPlaces(2, options.get("hold_seconds", 10.0)),
        ),
        read_model=read_model,
        known_answers=KnownAnswers(options.get("answer_cache_bytes", 1_000_000)),
        writer=writer,
        repeats=Repeats(RememberedRequests(own_database, clock, draw_id, options.get("window_seconds", 0.0))),
        command_log=log,
        webhook_state=webhooks,
        webhook_replays=WebhookReplays(log, webhooks, options.get("hold_seconds", 10.0)),
        in_progress=RequestsInProgress(options.get("max_requests", 1_000)),
        metrics=ApiMetrics(health.registry),
        clock=clock,
        draw_id=draw_id,
        callback_key=CALLBACK_KEY,
        callback_base=CALLBACK_BASE,
        twilio_tokens={"twilio-us": TWILIO_TOKEN},
        calls_as_strings=options.get("calls_as_strings", False),
    )
    async with TestClient(TestServer(make_app(context, health))) as client:
        service = Service(client, log, context, keys, clock, {}, health.registry)
        service.headers = await service.key_of("org-1")
        yield service
    await read_model.close()
    for database in (read_database, own_database, index_database):
        await database.dispose()
