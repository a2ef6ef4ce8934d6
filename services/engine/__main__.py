"""Runs the engine: `python -m services.engine`."""

import asyncio
from contextlib import AsyncExitStack

from events.topics import CAMPAIGN_EVENTS
from projections.store.engine import open_database
from projections.store.identity import FOLD_VERSION
from projections.store.port import ReadModelMismatchError
from projections.store.sql_store import SqlProjectionStore
from services.engine.bootstrap import Engine
from services.engine.observer import Observer
from services.engine.settings import EngineSettings
from services.runtime.clock import SystemClock
from services.runtime.errors import StartupError
from services.runtime.health import Health, serve_health
from services.runtime.log_identity import log_identity
from services.runtime.process import run_service
from services.runtime.topics_admin import ensure_topics


async def serve_engine(settings: EngineSettings, stop: asyncio.Event) -> None:
    """Run the partitions that the group assigns until `stop`; raises what ended one of them."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await ensure_topics(settings, ["engine"])
    async with AsyncExitStack() as stack:
        database = open_database(settings.read_model_url())
        stack.push_async_callback(database.dispose)
        store = SqlProjectionStore(database)
        stack.push_async_callback(store.close)
        await store.ensure_schema()
        await _require_identity(settings, store)
        health = Health()
        engine = Engine(settings, store, SystemClock(), Observer(health.registry))
        health.checks["partitions"] = engine.problem
        runner = await serve_health(health, settings.host, settings.engine_port)
        stack.push_async_callback(runner.cleanup)
        await engine.run(stop)


async def _require_identity(settings: EngineSettings, store: SqlProjectionStore) -> None:
    """What another log holds at the read model's offsets would be taken for what came after its rows, and calls be dialed again."""
    cluster_id, topic_id = await log_identity(settings, settings.topic_name(CAMPAIGN_EVENTS))
    try:
        await store.require_identity(FOLD_VERSION, cluster_id, topic_id, settings.topic_partitions)
    except ReadModelMismatchError as error:
        raise StartupError(str(error)) from error


if __name__ == "__main__":
    run_service(EngineSettings, serve_engine)
