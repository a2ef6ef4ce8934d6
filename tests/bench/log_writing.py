"""Owns how a workload gets onto a topic: as large batches, the quickest way there is, before anything is measured."""

import asyncio
from typing import Any

from events.topics import CAMPAIGN_EVENTS
from services.runtime.kafka import make_producer
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.bench.workload import PARTITIONS, Workload

_MOST_UNDER_WAY = 12


def log_settings(bootstrap_servers: str, name: str, **overrides: Any) -> Settings:
    """Settings under which the services find the log of that name, and leave all others alone."""
    values: dict[str, Any] = {"kafka_bootstrap_servers": bootstrap_servers, "topic_prefix": f"{name}-", "topic_partitions": PARTITIONS}
    return Settings(**(values | overrides))


async def write_log(settings: Settings, workload: Workload, limit: int | None = None) -> None:
    """The first `limit` records, or all, on `campaign-events`, which is created; the topic must not hold any yet."""
    await ensure_topics(settings)
    topic = settings.topic_name(CAMPAIGN_EVENTS)
    producer = make_producer(settings)
    await producer.start()
    try:
        builders = [producer.create_batch() for _ in range(PARTITIONS)]
        under_way: set[asyncio.Future[Any]] = set()
        for partition, key, value in workload.records(limit):
            if builders[partition].append(key=key, value=value, timestamp=None) is None:
                under_way.add(await producer.send_batch(builders[partition], topic, partition=partition))
                builders[partition] = producer.create_batch()
                builders[partition].append(key=key, value=value, timestamp=None)
                if len(under_way) >= _MOST_UNDER_WAY:
                    _, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for partition, builder in enumerate(builders):
            under_way.add(await producer.send_batch(builder, topic, partition=partition))
        await asyncio.gather(*under_way)
    finally:
        await producer.stop()
