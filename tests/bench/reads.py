"""Owns the section on reads: one stack of real services, asked beside a bare aiohttp handler and a raw Kafka client."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from projections.store.engine import open_database
from projections.store.sql_store import SqlProjectionStore
from services.runtime.settings import Settings
from tests.api.processes import api_processes
from tests.bench import latency, reading_rates
from tests.bench.environment import BenchEnvironment
from tests.bench.long_lists import LISTS_ORG, fill_lists
from tests.bench.report import SectionFailedError, Table
from tests.support.ports import free_port

_NO_LIMIT = {"API_KEY_REQUESTS_PER_SECOND": "0", "API_ORG_REQUESTS_PER_SECOND": "0", "LOG_LEVEL": "INFO"}
_HANGS_AFTER = 3.0
"""Shares of the time that the section has; below the time at which it is stopped from outside."""


async def run(environment: BenchEnvironment) -> list[Table]:
    """Point reads, pages, streams and latencies; nothing else runs meanwhile but what is measured."""
    settings = _settings(environment)
    campaigns = 12_000 if environment.short else 105_000
    await _prepare(settings, campaigns)
    async with api_processes(settings, None, **_NO_LIMIT) as stack:
        keys = await stack.create_key("bench"), await stack.create_key(LISTS_ORG)
        return await _measured(reading_rates.Bench(environment, stack, *keys, campaigns))


async def _measured(bench: reading_rates.Bench) -> list[Table]:
    """One after the other; where one fails or hangs, what was measured before it is shown all the same."""
    tables: list[Table] = []
    try:
        async with asyncio.timeout(_HANGS_AFTER * bench.environment.budget_seconds):
            tables.append(await reading_rates.point_reads(bench))
            tables.append(await reading_rates.pages(bench))
            tables.append(await reading_rates.streams(bench))
            tables.append(await latency.commands(bench))
            tables.append(await latency.events(bench))
    except Exception as error:  # whatever broke it is the section's result
        raise SectionFailedError(traceback.format_exc(), tables) from error
    return tables


def _settings(environment: BenchEnvironment) -> Settings:
    ports = {f"{service}_port": free_port() for service in ("api", "engine", "projector", "dialer", "notifier", "simulator")}
    return Settings(
        kafka_bootstrap_servers=environment.bootstrap_servers,
        topic_prefix=f"reads-{uuid4().hex[:8]}-",
        topic_partitions=6,
        data_dir=environment.directory / "data",
        callback_secret="secret-of-the-benchmark",
        **ports,  # type: ignore[arg-type]
    )


async def _prepare(settings: Settings, campaigns: int) -> None:
    """Long lists straight into the read model, since what is measured is reading them."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with _store(settings) as store:
        await fill_lists(store, campaigns)


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[SqlProjectionStore]:
    database = open_database(settings.read_model_url())
    store = SqlProjectionStore(database)
    try:
        await store.ensure_schema()
        yield store
    finally:
        await store.close()
        await database.dispose()
