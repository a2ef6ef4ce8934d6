"""Owns the checker's sight of the log: every committed record of the events, the summaries and the dead letters, read past all proxies."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.runtime.cancelling import cancel_all
from tests.chaos.fold import Fold

_EVENTS, _STATE, _DEAD = "campaign-events", "campaign-state", "campaign-commands-dead"


@dataclass(slots=True)
class LogSight:
    """Follows the log from its beginning on. `records` are those of the events, by partition, as they came."""

    servers: str
    prefix: str
    partitions: int
    fold: Fold
    records: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    dead_letters: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _versions: dict[str, int] = field(default_factory=dict)
    _consumer: AIOKafkaConsumer | None = None
    _task: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        await self._consumer.start()
        tps = [TopicPartition(self.prefix + name, n) for name in (_EVENTS, _STATE, _DEAD) for n in range(self.partitions)]
        self._consumer.assign(tps)
        self._task = asyncio.create_task(self._follow(self._consumer))

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            with suppress(KafkaError, OSError):
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        self._take(tp, record)

    def _take(self, tp: TopicPartition, record: Any) -> None:
        name = tp.topic.removeprefix(self.prefix)
        if name == _EVENTS:
            self.records.setdefault(tp.partition, []).append((record.offset, record.value))
            self.fold.take(tp.partition, json.loads(record.value))
        elif name == _DEAD:
            self.dead_letters[dict(record.headers)["reason"].decode().partition(":")[0]] += 1
        elif record.value is not None:
            self._take_summary(json.loads(record.value))

    def _take_summary(self, summary: dict[str, Any]) -> None:
        told = summary.get("data", summary)
        identifier, version = told["id"], int(told["version"])
        if version < self._versions.get(identifier, 0):
            self.faults.append(f"I6: campaign-state of {identifier} goes back to version {version}")
        self._versions[identifier] = version

    def forget_versions(self) -> None:
        """After an old backup was restored, summaries may for a while be older than those before."""
        self._versions.clear()

    async def is_at_the_end(self) -> bool:
        """Whether everything committed so far was read; `False` where the broker does not say."""
        if self._consumer is None:
            return False
        tps = [tp for tp in self._consumer.assignment() if tp.topic == self.prefix + _EVENTS]
        try:
            async with asyncio.timeout(3):
                ends = await self._consumer.end_offsets(tps)
                return all([await self._consumer.position(tp) >= ends[tp] for tp in tps])
        except (KafkaError, OSError, TimeoutError):
            return False

    def last_offsets(self) -> dict[int, int]:
        """The offset of the newest event of each partition that has one."""
        return {partition: records[-1][0] for partition, records in self.records.items()}

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_all([self._task])
        if self._consumer is not None:
            with suppress(TimeoutError, KafkaError, OSError, asyncio.CancelledError):
                async with asyncio.timeout(3):
                    await self._consumer.stop()
