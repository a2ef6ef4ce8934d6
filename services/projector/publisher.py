"""Owns telling `campaign-state` what changed: from the outbox, one transaction at a time for each partition.

A partition's transactional id fences its former owner, so that no older summary ever comes after a newer one.
"""

import asyncio
import logging
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from events.topics import CAMPAIGN_STATE
from projections.campaign_state.summary import summary
from projections.store.outbox import Outbox, Unpublished
from services.projector.metrics import ProjectorMetrics
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point
from services.runtime.letting_go import let_go
from services.runtime.settings import Settings

_MOST_SUMMARIES = 200
"""In one transaction; a campaign that changed many times meanwhile is sent once."""
_ENVELOPE_BYTES = 1_024
_INTERVAL_SECONDS = 0.1
_PAUSE_AFTER_FAILURE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class StatePublisher:
    """Publishes for the partitions that this process owns; `new_producer` gives one with the transactional id of a partition.

    The database's errors come through `run`; Kafka's are tried again, since the outbox keeps what was not sent.
    """

    def __init__(
        self,
        outbox: Outbox,
        new_producer: Callable[[int], AIOKafkaProducer],
        settings: Settings,
        clock: Clock,
        metrics: ProjectorMetrics,
    ) -> None:
        self._outbox = outbox
        self._new_producer = new_producer
        self._topic = settings.topic_name(CAMPAIGN_STATE)
        self._clock = clock
        self._metrics = metrics
        self._owned: set[int] = set()
        self._dirty: set[int] = set()
        self._producers: dict[int, AIOKafkaProducer] = {}
        self._woken = asyncio.Event()

    def own(self, partitions: set[int]) -> None:
        """From here on publish for these partitions only; what their outbox holds is sent first."""
        self._owned = set(partitions)
        self._dirty = set(partitions)
        self._woken.set()

    def wake(self, partition: int) -> None:
        """The partition's outbox got entries."""
        self._dirty.add(partition)
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                await self._let_go()
                dirty, self._dirty = sorted(self._dirty & self._owned), set()
                for partition in dirty:
                    if partition in self._owned:
                        await self._publish_partition(partition)
                await self._clock.sleep(_INTERVAL_SECONDS)
        finally:
            self._owned = set()
            await self._let_go()

    async def _let_go(self) -> None:
        for partition in set(self._producers) - self._owned:
            await self._drop(partition)

    async def _publish_partition(self, partition: int) -> None:
        entries = await self._outbox.unpublished(partition, _MOST_SUMMARIES)
        if not entries:
            return
        try:
            producer = await self._producer(partition)
            fail_point("projector.before-publish")
            await self._send(producer, partition, entries)
            fail_point("projector.after-publish")
        except (KafkaError, OSError) as error:
            # a fence too: the broker also fences a producer whose transaction it timed out, with no other owner about
            _log.warning("publishing failed, trying again: %s", error, extra={"action": "publish", "partition": partition})
            await self._drop(partition)
            self.wake(partition)
            await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)
        else:
            await self._outbox.published(entries)
            self._metrics.published.inc(len(entries))
            self.wake(partition)

    async def _producer(self, partition: int) -> AIOKafkaProducer:
        if partition not in self._producers:
            producer = self._new_producer(partition)
            try:
                await producer.start()
            except BaseException:
                await let_go(producer)
                raise
            self._producers[partition] = producer
        return self._producers[partition]

    async def _send(self, producer: AIOKafkaProducer, partition: int, entries: list[Unpublished]) -> None:
        async with producer.transaction():
            for entry in entries:
                value = summary(entry.campaign, CAMPAIGN_STATE.max_message_bytes - _ENVELOPE_BYTES)
                await producer.send(self._topic, value, entry.campaign.id.encode(), partition)

    async def _drop(self, partition: int) -> None:
        producer = self._producers.pop(partition, None)
        if producer is not None:
            await let_go(producer)
