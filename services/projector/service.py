"""Owns the projector's process: what it needs, in the order it needs it, until it is told to stop."""

import asyncio
import gc
import logging
from contextlib import AsyncExitStack
from functools import partial

from aiokafka import AIOKafkaProducer

from events.topics import CAMPAIGN_EVENTS, CAMPAIGN_STATE
from projections.store.engine import open_database
from projections.store.identity import FOLD_VERSION
from projections.store.outbox import SqlOutbox
from projections.store.port import ReadModelMismatchError
from projections.store.sql_store import SqlProjectionStore
from services.projector.app import ProjectorApp
from services.projector.folding import Folding
from services.projector.metrics import ProjectorMetrics
from services.projector.publisher import ChangedSummaries
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import StartupError
from services.runtime.health import Health, serve_health
from services.runtime.kafka import make_producer
from services.runtime.log_identity import log_identity
from services.runtime.process import until_stopped_or_failed
from services.runtime.publishing import PartitionPublisher
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics

_LOOK_SECONDS = 1.0
_GC_THRESHOLD = 100_000
"""A batch is tens of thousands of objects that live shortly and in no cycle; looking among them costs a third of the CPU."""

_log = logging.getLogger(__name__)


async def serve_projector(settings: Settings, stop: asyncio.Event) -> None:
    """Fold until `stop`; raises what the database or Kafka raised when the process can not go on."""
    gc.set_threshold(_GC_THRESHOLD)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    clock, health = SystemClock(), Health()
    metrics = ProjectorMetrics(health.registry)
    async with AsyncExitStack() as stack:
        database = open_database(settings.read_model_url())
        stack.push_async_callback(database.dispose)
        store = SqlProjectionStore(database)
        stack.push_async_callback(store.close)
        await ensure_topics(settings, groups=())
        await store.ensure_schema()
        await _check_identity(settings, store)
        changes = ChangedSummaries(SqlOutbox(store), metrics)
        publisher = PartitionPublisher(changes, partial(_producer, settings), settings.topic_name(CAMPAIGN_STATE), clock)
        folding = Folding(store, publisher.wake, publisher.hold_back)
        app = ProjectorApp(settings, store, folding, metrics, publisher.own)
        _check_readiness(health, app, folding)
        runner = await serve_health(health, settings.host, settings.projector_port)
        stack.push_async_callback(runner.cleanup)
        app.finalize()
        stack.push_async_callback(app.stop)
        await app.start()
        await until_stopped_or_failed(stop, app.run_until_failed(), publisher.run(), _watch(app, folding, metrics, clock))
        _log.info("stopping", extra={"action": "stop"})


async def _check_identity(settings: Settings, store: SqlProjectionStore) -> None:
    cluster_id, topic_id = await log_identity(settings, settings.topic_name(CAMPAIGN_EVENTS))
    try:
        await store.check_identity(FOLD_VERSION, cluster_id, topic_id, settings.topic_partitions)
    except ReadModelMismatchError as error:
        raise StartupError(str(error)) from error


def _producer(settings: Settings, partition: int) -> AIOKafkaProducer:
    return make_producer(settings, transactional_id=f"campaign-state-{partition}")


def _check_readiness(health: Health, app: ProjectorApp, folding: Folding) -> None:
    async def assignment() -> str | None:
        return "waits for its partitions" if app.assigned is None else None

    async def partitions() -> str | None:
        return "; ".join(f"partition {number} stands still at {why}" for number, why in folding.broken.items()) or None

    health.checks |= {"assignment": assignment, "partitions": partitions}


async def _watch(app: ProjectorApp, folding: Folding, metrics: ProjectorMetrics, clock: Clock) -> None:
    """Tell how far behind the partitions are; raises what keeps the process out of its group."""
    while True:
        await app.check_group()
        for partition, lag in (await app.lags() if app.assigned else {}).items():
            metrics.lag.labels(partition).set(lag)
        metrics.broken.set(len(folding.broken))
        await clock.sleep(_LOOK_SECONDS)
