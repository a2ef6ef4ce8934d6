"""Owns the sight of granted claims: every partition, without a group, since a rebalance may part a claim from its claimant."""

import logging
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from events.codec import read_event
from events.envelope import EventRecord
from events.errors import DecodeError
from events.facts import CallClaimed
from services.runtime.letting_go import let_go

_WANTED = b'"CallClaimed.'
_POLL_MS = 1_000

_log = logging.getLogger(__name__)


class ClaimFollower:
    """Follows the log from its end at `start` on: `start` must have returned before a claim is sent."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partitions: int, on_claimed: Callable[[EventRecord], None]) -> None:
        self._consumer = consumer
        self._partitions = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._on_claimed = on_claimed

    async def start(self) -> None:
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        for tp, end in (await self._consumer.end_offsets(self._partitions)).items():
            self._consumer.seek(tp, end)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    if record.value is not None and _WANTED in record.value:
                        self._handle(record.value)

    def _handle(self, value: bytes) -> None:
        try:
            event = read_event(value)
        except DecodeError:
            _log.exception("an event can not be read", extra={"action": "follow"})
            return
        if event["type"] == CallClaimed.type_name:
            self._on_claimed(event)

    async def stop(self) -> None:
        await let_go(self._consumer)
