"""Owns `rebuild`: fold the whole log into fresh tables, and put them in place of the live ones in one write transaction."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from events.topics import CAMPAIGN_EVENTS
from projections.reading import iterate_events
from projections.store.engine import open_database
from projections.store.generations import fresh_tables, swap_in
from projections.store.identity import FOLD_VERSION, identity_of, require_partitions
from projections.store.port import Fenced, ReadModelMismatchError
from projections.store.sql_store import SqlProjectionStore
from services.projector.log_reading import MAX_BYTES, MAX_RECORDS, Allowance, take_whole_runs
from services.runtime.errors import StartupError
from services.runtime.kafka import make_consumer
from services.runtime.log_identity import log_identity
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics

_POLL_MS = 200

_log = logging.getLogger(__name__)


async def rebuild(settings: Settings, stop: asyncio.Event) -> None:
    """Until the fresh tables are the live ones, or `stop`, which leaves the live ones as they are.

    The live projector and the readers may go on meanwhile. Publishes nothing: what the live projector had not told
    `campaign-state` yet, it tells after the swap. Raises `StartupError` where the log's topics were enlarged.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await ensure_topics(settings, groups=())
    topic = settings.topic_name(CAMPAIGN_EVENTS)
    cluster_id, topic_id = await log_identity(settings, topic)
    identity = identity_of(FOLD_VERSION, cluster_id, topic_id, settings.topic_partitions)
    async with AsyncExitStack() as stack:
        database = open_database(settings.read_model_url())
        stack.push_async_callback(database.dispose)
        live = SqlProjectionStore(database)
        stack.push_async_callback(live.close)
        await live.ensure_schema()
        try:
            await live.writer.run(partial(require_partitions, given=identity))
        except ReadModelMismatchError as error:
            raise StartupError(str(error)) from error
        fresh = await fresh_tables(live.writer)
        store = SqlProjectionStore(database, fresh, publishes=False)
        stack.push_async_callback(store.close)
        await store.ensure_schema()
        reader, allowance = make_consumer(settings, max_poll_records=MAX_RECORDS), Allowance()
        stack.push_async_callback(reader.stop)
        await reader.start()
        take_whole_runs(reader, allowance)
        partitions = [TopicPartition(topic, number) for number in range(settings.topic_partitions)]
        reader.assign(partitions)
        await reader.seek_to_beginning(*partitions)
        offsets = dict.fromkeys(partitions, 0)
        while not stop.is_set():
            await _fold_up_to(reader, allowance, store, offsets, await reader.end_offsets(partitions), stop)
            if not stop.is_set() and await swap_in(live.writer, fresh, identity):
                _log.info("the rebuilt read model is live", extra={"action": "rebuild", "offsets": sum(offsets.values())})
                return


async def _fold_up_to(
    reader: AIOKafkaConsumer,
    allowance: Allowance,
    store: SqlProjectionStore,
    offsets: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    stop: asyncio.Event,
) -> None:
    """In batches that are bounded as the live projector's are: all that is taken in one turn, of whatever partitions, is one of them."""
    while not stop.is_set() and any(offsets[partition] < end for partition, end in ends.items()):
        allowance.renew(MAX_RECORDS, MAX_BYTES)
        fetched = await reader.getmany(timeout_ms=_POLL_MS, max_records=MAX_RECORDS)
        for partition in offsets:
            position = max(await reader.position(partition), offsets[partition])
            if position == offsets[partition]:
                continue
            values = [value for run in fetched.pop(partition, ()) for value in run.values]
            outcome = await store.apply(partition.partition, offsets[partition], position, iterate_events(values))
            if isinstance(outcome, Fenced):
                raise RuntimeError("another rebuild writes the same tables")
            offsets[partition] = position
