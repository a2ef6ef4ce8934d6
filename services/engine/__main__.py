"""Runs the engine: `python -m services.engine`."""

import asyncio

from projections.store.engine import Database
from services.engine.bootstrap import Engine, Readiness
from services.engine.settings import EngineSettings
from services.runtime.clock import SystemClock
from services.runtime.health import Health, serve_health
from services.runtime.process import run_service
from services.runtime.topics_admin import ensure_topics


async def _main(settings: EngineSettings, stop: asyncio.Event) -> None:
    await ensure_topics(settings)
    raise NotImplementedError


if __name__ == "__main__":
    run_service(EngineSettings, _main)
