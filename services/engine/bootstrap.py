"""Owns how the engine is wired: its clients, one partition engine for each assignment, health and metrics."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer

from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS
from services.engine.kafka_log import KafkaPartitionLog
from services.engine.observer import Observer
from services.engine.partition import PartitionEngine
from services.engine.ports import Snapshots
from services.engine.service import Workers
from services.engine.settings import EngineSettings
from services.engine.unreadable import read_past_unreadable
from services.runtime.clock import Clock
from services.runtime.kafka import check_group, make_consumer, make_producer, partition_of
from services.runtime.letting_go import let_go
from services.runtime.process import until_stopped_or_failed

GROUP = "engine"
_STOP_SECONDS = 5.0
_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Engine:
    """The engine of one process, with everything from outside as an argument."""

    settings: EngineSettings
    snapshots: Snapshots
    clock: Clock
    observer: Observer
    workers: Workers | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; raises what ended a partition, or what keeps a process without one out of the group."""
        async with AsyncExitStack() as stack:
            consumer = make_consumer(self.settings, group_id=self.settings.group_id(GROUP))
            await consumer.start()
            stack.push_async_callback(let_go, consumer, _STOP_SECONDS)
            read_past_unreadable(consumer)
            failed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self.workers = Workers(consumer, lambda partition: self._partition(consumer, partition), failed)
            stack.push_async_callback(self.workers.stop)
            topics = [self.settings.topic_name(topic) for topic in (CALL_COMMANDS, CAMPAIGN_COMMANDS)]
            consumer.subscribe(topics, listener=self.workers)
            await until_stopped_or_failed(stop, failed, self._watch_group(self.workers))

    def _partition(self, consumer: AIOKafkaConsumer, partition: int) -> PartitionEngine:
        settings = self.settings
        log = KafkaPartitionLog(
            partition=partition,
            group_id=settings.group_id(GROUP),
            consumer=consumer,
            new_producer=lambda: make_producer(settings, transactional_id=f"engine-{partition}"),
            new_reader=lambda: make_consumer(settings),
            name_of=settings.topic_name,
            partition_of=lambda org_id: partition_of(org_id, settings.topic_partitions),
        )
        return PartitionEngine(
            partition=partition,
            log=log,
            snapshots=self.snapshots,
            clock=self.clock,
            policy=settings.policy(),
            nonce=lambda: secrets.token_hex(8),
            observer=self.observer,
        )

    async def _watch_group(self, workers: Workers) -> None:
        """Partitions hear what the group refuses when they poll; without any nobody else would."""
        while True:
            if not workers.tasks:
                check_group(workers.consumer)
            await self.clock.sleep(_LOOK_SECONDS)

    async def problem(self) -> str | None:
        """What is missing for readiness: a place in the group, or assigned partitions that are not taken over yet."""
        if self.workers is None or not self.workers.assigned:
            return "not in the group"
        waiting = sorted(set(self.workers.tasks) - self.observer.taken)
        return f"partitions not taken over: {waiting}" if waiting else None
