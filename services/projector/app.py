"""Owns the Faust app: which topic its agent folds, where each partition starts, and what stops the process."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import faust
from aiokafka.structs import TopicPartition
from faust.app.base import BootStrategy

from events.topics import CAMPAIGN_EVENTS
from projections.store.port import ProjectionStore
from services.projector.batch import BatchSchema
from services.projector.delivery import BatchTransport
from services.projector.folding import Folding
from services.projector.metrics import ProjectorMetrics
from services.projector.progress import FoldProgress
from services.runtime.fail_points import fail_point
from services.runtime.settings import Settings

_BUFFERED_BATCHES = 1

_log = logging.getLogger(__name__)


class _ConsumerOnly(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False
    enable_web = False


class ProjectorApp(faust.App):  # type: ignore[misc]
    """Folds `campaign-events`; `on_assigned` is told this process's partitions after every rebalance."""

    BootStrategy = _ConsumerOnly

    def __init__(
        self,
        settings: Settings,
        store: ProjectionStore,
        folding: Folding,
        metrics: ProjectorMetrics,
        on_assigned: Callable[[set[int]], None],
    ) -> None:
        self.settings = settings
        self.assigned: set[int] | None = None
        self._progress = FoldProgress(store, folding, metrics)
        self._on_assigned = on_assigned
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(
            settings.group_id("projector"),
            broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
            loop=asyncio.get_running_loop(),
            autodiscover=False,
            datadir=settings.data_dir / "projector",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            stream_buffer_maxsize=_BUFFERED_BATCHES,
            stream_wait_empty=False,
        )
        log = self.topic(settings.topic_name(CAMPAIGN_EVENTS), schema=BatchSchema(), partitions=settings.topic_partitions)
        self.agent(log, name="fold")(self._fold_stream)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(list(self.conf.broker), self, loop=self.loop)

    async def run_until_failed(self) -> None:
        """Raise what made the app fail; returns when it is stopped."""
        stopped = asyncio.ensure_future(self.wait_until_stopped())
        try:
            await asyncio.wait([stopped, self._failure], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if self._failure.done():
            self._failure.result()
        if self.crash_reason is not None:
            raise self.crash_reason

    async def starting_offsets(self, assignment: set[TopicPartition]) -> dict[TopicPartition, int]:
        """What the read model says; raises `LogMismatchError` where the log does not reach from there on."""
        try:
            offsets = await self._progress.starting_offsets(assignment, self.consumer)
        except Exception as error:
            self._fail(error)
            raise
        self.assigned = {partition.partition for partition in assignment}
        self._on_assigned(self.assigned)
        _log.info("took partitions over", extra={"action": "assigned", "partitions": sorted(self.assigned)})
        return offsets

    def on_partitions_lost(self) -> None:
        """A rebalance began: nothing is ours until it ends."""
        self.assigned = None
        self._on_assigned(set())

    async def check_group(self) -> None:
        """Raise what keeps this process out of its group."""
        await self.consumer.check_group()

    async def lags(self) -> dict[int, int]:
        return dict(await self.consumer.lags())

    async def _fold_stream(self, stream: Any) -> None:
        async for event in stream.noack().events():
            self.consumer.begun()
            try:
                done = await self._progress.fold(event.value, self.consumer)
            except Exception as error:
                self._fail(error)
                raise
            if done:
                fail_point("projector.before-ack")
                event.ack()

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)
