"""Owns the API's reading of `webhook-state`: followed from its beginning whenever it is followed, and asked for what is known by now."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from events.webhooks import WebhookReplay, read_webhook_state
from projections.queries.views import Page
from services.api.errors import UnavailableError
from services.api.webhook_index import Change, WebhookIndex
from services.runtime.clock import Clock
from services.runtime.letting_go import let_go

_POLL_MS = 500
_AGAIN_SECONDS = 0.5
_RECORDS = 2_000
_CURRENT_SECONDS = 5.0
AWAY = "the dead webhooks can not be read now"

_log = logging.getLogger(__name__)


class WebhookState(Protocol):
    """Which webhooks are dead, and what came of commands."""

    async def dead(self, org_id: str, campaign_id: str | None, page: int, limit: int, descending: bool) -> Page[bytes]:
        """The org's dead webhooks as JSON, as the topic has them at the time of asking or later; raises `UnavailableError`."""

    async def outcome(self, org_id: str, command_id: str) -> WebhookReplay:
        """What came of the org's command, once that is known; waits without end for it. Raises `UnavailableError`."""


class KafkaWebhookState:
    """A `WebhookState` without a group. After any failure all is read anew, since a tombstone may be gone before it was read."""

    def __init__(
        self,
        new_consumer: Callable[[], AIOKafkaConsumer],
        topic: str,
        partitions: int,
        partition_of: Callable[[str], int],
        index: WebhookIndex,
        clock: Clock,
    ) -> None:
        self._new_consumer = new_consumer
        self._tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._partition_of = partition_of
        self._index = index
        self._clock = clock
        self._consumer: AIOKafkaConsumer | None = None
        self._places: dict[TopicPartition, int] = {}
        self._moved = asyncio.Condition()

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, SQLAlchemyError) as error:
                _log.warning("the dead webhooks can not be followed: %s", type(error).__name__, extra={"action": "follow-again"})
                await self._clock.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        await self._index.clear()
        consumer = self._new_consumer()
        try:
            await consumer.start()
            consumer.assign(self._tps)
            await consumer.seek_to_beginning()
            self._consumer = consumer
            while True:
                fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS)
                await self._index.fold(change for records in fetched.values() for record in records if (change := _read(record)))
                async with self._moved:
                    self._places = {tp: await consumer.position(tp) for tp in self._tps}
                    self._moved.notify_all()
        finally:
            self._consumer, self._places = None, {}
            await let_go(consumer)

    async def dead(self, org_id: str, campaign_id: str | None, page: int, limit: int, descending: bool) -> Page[bytes]:
        try:
            async with asyncio.timeout(_CURRENT_SECONDS):
                consumer = await self._until_current(self._tps[self._partition_of(org_id)])
                found = await self._index.dead(org_id, campaign_id, page, limit, descending)
        except (TimeoutError, KafkaError, OSError, SQLAlchemyError) as error:
            raise UnavailableError(AWAY) from error
        if self._consumer is not consumer:
            # the index was made anew meanwhile
            raise UnavailableError(AWAY)
        return found

    async def _until_current(self, tp: TopicPartition) -> AIOKafkaConsumer:
        async with self._moved:
            await self._moved.wait_for(lambda: tp in self._places)
            consumer = self._consumer
        if consumer is None:
            raise UnavailableError(AWAY)
        end = (await consumer.end_offsets([tp]))[tp]
        async with self._moved:
            await self._moved.wait_for(lambda: self._places.get(tp, -1) >= end)
        return consumer

    async def outcome(self, org_id: str, command_id: str) -> WebhookReplay:
        while True:
            async with self._moved:
                try:
                    known = await self._index.replay(org_id, command_id) if self._places else None
                except (SQLAlchemyError, OSError) as error:
                    raise UnavailableError(AWAY) from error
                if known is not None:
                    return known
                await self._moved.wait()


def _read(record: ConsumerRecord) -> Change | None:
    try:
        key = record.key.decode()
        return key, None if record.value is None else read_webhook_state(orjson.loads(record.value))
    except (ValueError, ValidationError, AttributeError):
        _log.exception("a record can not be read", extra={"action": "read", "partition": record.partition, "offset": record.offset})
        return None
