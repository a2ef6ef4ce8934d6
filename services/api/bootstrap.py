"""Owns how the API is wired: its clients, its stores, the app, and the order in which they start and stop."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from events.topics import CAMPAIGN_EVENTS, WEBHOOK_STATE
from projections.queries.read_model import ReadModelAwayError, SqlReadModel
from projections.store.engine import BUSY_TIMEOUT_SECONDS, DATABASE_FAULTS, open_database
from services.api.app import make_app
from services.api.auth import Authenticator
from services.api.bodies import BodyReader
from services.api.command_log import KafkaCommandLog
from services.api.context import ApiContext
from services.api.event_log import KafkaEventLog
from services.api.expectations import Expectations
from services.api.freshness import Freshness
from services.api.keys import KeyStore
from services.api.known_answers import KnownAnswers
from services.api.log_answers import LogAnswers
from services.api.metrics import ApiMetrics
from services.api.own_store import metadata
from services.api.pages import PageRoom
from services.api.rate_limits import RateLimits, TokenBuckets
from services.api.remembered_requests import PATIENCE_SECONDS, RememberedRequests
from services.api.repeats import Repeats
from services.api.requests_in_progress import RequestsInProgress
from services.api.settings import ApiSettings
from services.api.upload_places import UploadPlaces
from services.api.uploads import Uploads
from services.api.webhook_index import WebhookIndex
from services.api.webhook_replays import WebhookReplays
from services.api.webhook_state import KafkaWebhookState
from services.api.writing import Writer
from services.runtime.cancelling import cancel_all
from services.runtime.clock import Clock
from services.runtime.errors import StartupError
from services.runtime.health import Health
from services.runtime.kafka import make_consumer, make_producer, partition_of
from services.runtime.own_store import open_own_store
from services.runtime.process import until_stopped_or_failed
from services.runtime.serving import serve

_SHUTDOWN_SECONDS = 5.0
_START_SECONDS = 30.0
_MAX_LARGE_CALLBACKS = 8
"""As much memory as one large body may take."""
_BURST_SECONDS = 10.0
"""Who has not asked for so long may ask all that at once."""


def own_store(settings: ApiSettings, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> AbstractAsyncContextManager[AsyncEngine]:
    """The database of keys and remembered requests."""
    return open_own_store(settings, "api", metadata, busy_timeout_seconds)


def key_store(database: AsyncEngine) -> KeyStore:
    return KeyStore(database, lambda: secrets.token_urlsafe(32))


@dataclass(slots=True)
class Api:
    """One process of the API, with everything from outside as an argument."""

    settings: ApiSettings
    clock: Clock

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish the requests under way; raises what ended the following of the events."""
        settings = self.settings
        async with (
            own_store(settings, PATIENCE_SECONDS) as database,
            self._read_model() as read_model,
            self._command_log() as command_log,
            self._webhook_state() as webhook_state,
        ):
            expectations = Expectations()
            event_log = KafkaEventLog(
                lambda: make_consumer(settings), settings.topic_name(CAMPAIGN_EVENTS), settings.topic_partitions, expectations, self.clock
            )
            following = asyncio.create_task(event_log.follow())
            beside = [asyncio.create_task(command_log.watch()), asyncio.create_task(webhook_state.follow())]
            health = Health()
            writer = self._writer(read_model, command_log, event_log, expectations)
            context = self._context(database, read_model, writer, command_log, webhook_state, health)
            health.checks |= {
                "log": lambda: _log_problem(command_log, event_log),
                "read model": lambda: _read_model_problem(read_model),
                "own store": lambda: _own_store_problem(database),
            }
            try:
                await _within_start(event_log, following)
                app, most_connections = make_app(context, health), settings.api_max_connections
                runner = await serve(app, settings.host, settings.api_port, _SHUTDOWN_SECONDS, most_connections)
                try:
                    # following goes on until the requests under way are answered
                    await until_stopped_or_failed(stop, *map(asyncio.shield, (following, *beside)))
                finally:
                    await runner.cleanup()
            finally:
                await cancel_all((following, *beside))

    def _writer(
        self, read_model: SqlReadModel, command_log: KafkaCommandLog, event_log: KafkaEventLog, expectations: Expectations
    ) -> Writer:
        settings = self.settings
        return Writer(
            log=command_log,
            events=event_log,
            expectations=expectations,
            freshness=Freshness(read_model, self.clock),
            read_model=read_model,
            log_answers=LogAnswers(event_log),
            hold_seconds=settings.api_hold_seconds,
            patience_seconds=settings.api_read_model_patience_seconds,
            upload_seconds=settings.api_upload_seconds,
            max_waiting=settings.api_max_writes,
        )

    def _context(
        self,
        database: AsyncEngine,
        read_model: SqlReadModel,
        writer: Writer,
        command_log: KafkaCommandLog,
        webhook_state: KafkaWebhookState,
        health: Health,
    ) -> ApiContext:
        settings, clock = self.settings, self.clock
        return ApiContext(
            authenticator=Authenticator(key_store(database), clock, settings.api_key_outage_seconds),
            rate_limits=RateLimits(
                TokenBuckets(clock, settings.api_key_requests_per_second, _BURST_SECONDS * settings.api_key_requests_per_second),
                TokenBuckets(clock, settings.api_org_requests_per_second, _BURST_SECONDS * settings.api_org_requests_per_second),
            ),
            pages=PageRoom(),
            bodies=BodyReader(settings.api_max_large_bodies),
            callback_bodies=BodyReader(_MAX_LARGE_CALLBACKS),
            uploads=Uploads(
                settings.data_dir / "uploads",
                settings.api_max_upload_bytes,
                settings.api_upload_seconds,
                UploadPlaces(settings.api_max_uploads, settings.api_hold_seconds),
            ),
            read_model=read_model,
            known_answers=KnownAnswers(settings.api_answer_cache_bytes),
            writer=writer,
            repeats=Repeats(RememberedRequests(database, clock, _draw_id, settings.duplicate_window_seconds)),
            command_log=command_log,
            webhook_state=webhook_state,
            webhook_replays=WebhookReplays(command_log, webhook_state, settings.api_hold_seconds),
            in_progress=RequestsInProgress(settings.api_max_requests),
            metrics=ApiMetrics(health.registry),
            clock=clock,
            draw_id=_draw_id,
            callback_key=settings.callback_key(),
            callback_base=settings.callback_base(),
            twilio_tokens=settings.provider_choice().twilio_tokens(),
            calls_as_strings=settings.v1_calls_as_strings,
        )

    @asynccontextmanager
    async def _read_model(self) -> AsyncIterator[SqlReadModel]:
        database = open_database(self.settings.read_model_url())
        read_model = SqlReadModel(database)
        try:
            yield read_model
        finally:
            await read_model.close()
            await database.dispose()

    @asynccontextmanager
    async def _command_log(self) -> AsyncIterator[KafkaCommandLog]:
        settings = self.settings
        log = KafkaCommandLog(
            new_producer=lambda: make_producer(settings),
            name_of=settings.topic_name,
            partition_of=self._partition_of,
            clock=self.clock,
        )
        try:
            await log.start()
        except (KafkaError, OSError) as error:
            raise StartupError(f"no Kafka answers at {settings.kafka_bootstrap_servers}") from error
        try:
            yield log
        finally:
            await log.stop()

    @asynccontextmanager
    async def _webhook_state(self) -> AsyncIterator[KafkaWebhookState]:
        settings = self.settings
        database = open_database(f"sqlite:///{settings.data_dir / f'dead-webhooks-{settings.api_port}.sqlite'}")
        try:
            yield KafkaWebhookState(
                new_consumer=lambda: make_consumer(settings),
                topic=settings.topic_name(WEBHOOK_STATE),
                partitions=settings.topic_partitions,
                partition_of=self._partition_of,
                index=WebhookIndex(database),
                clock=self.clock,
            )
        finally:
            await database.dispose()

    def _partition_of(self, org_id: str) -> int:
        return partition_of(org_id, self.settings.topic_partitions)


def _draw_id() -> str:
    return str(uuid4())


async def _within_start(event_log: KafkaEventLog, following: "asyncio.Task[None]") -> None:
    """No command is taken before its outcome would be seen."""
    ready = asyncio.create_task(event_log.until_followed())
    await asyncio.wait([ready, following], timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()
    if not ready.done():
        ready.cancel()
        raise StartupError("the events can not be followed: does Kafka answer?")


async def _log_problem(command_log: KafkaCommandLog, event_log: KafkaEventLog) -> str | None:
    return command_log.problem() or (None if event_log.is_followed else "the events are not followed")


async def _read_model_problem(read_model: SqlReadModel) -> str | None:
    try:
        await read_model.next_offsets()
    except ReadModelAwayError:
        return "does not answer"
    return None


async def _own_store_problem(database: AsyncEngine) -> str | None:
    try:
        await key_store(database).find("")
    except DATABASE_FAULTS:
        return "does not answer"
    return None
