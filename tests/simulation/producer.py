"""Owns the simulated producer: what the services use of aiokafka's, idempotent, transactional where it has an id."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from tests.simulation.broker import Headers, Transaction
from tests.simulation.loop import Life, settle

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

_REQUEST_SECONDS = 5.0
_AGAIN_SECONDS = 0.5
TRANSACTION_SECONDS = 5.0


@dataclass(slots=True)
class BatchBuilder:
    """Records that are sent together."""

    records: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)

    def append(self, *, key: bytes | None, value: bytes | None, timestamp: int | None) -> object:
        self.records.append((key, value))
        return self

    def record_count(self) -> int:
        return len(self.records)


class SimulatedProducer:
    """Of one process life. What it sends arrives in order, may arrive though the sender is told an error, or dies meanwhile."""

    def __init__(self, cluster: "Cluster", life: Life, transactional_id: str | None = None) -> None:
        self.life = life
        self._cluster = cluster
        self._id = transactional_id
        self._epoch = 0
        self._transaction: Transaction | None = None
        self._free_at = 0.0
        self._stopped = False

    async def start(self) -> None:
        await self._cluster.reach(self.life)
        if self._id is not None:
            self._epoch = self._cluster.broker.init_producer(self._id)

    async def stop(self) -> None:
        self._stopped = True

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder()

    async def begin_transaction(self) -> None:
        assert self._id is not None
        self._transaction = self._cluster.broker.begin(self._id, self._epoch)
        self._cluster.loop.later(TRANSACTION_SECONDS, self._cluster.broker.time_out, self._transaction)

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int | None = None, headers: Headers | None = None
    ) -> "asyncio.Future[None]":
        to = self._cluster.partition_of((key or b"").decode()) if partition is None else partition
        return self._post(TopicPartition(topic, to), [(key, value)], headers or ())

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[None]":
        return self._post(TopicPartition(topic, partition), batch.records, ())

    async def send_and_wait(self, topic: str, value: bytes | None, key: bytes | None = None, partition: int | None = None) -> None:
        await (await self.send(topic, value, key, partition))

    def _post(self, tp: TopicPartition, records: list[tuple[bytes | None, bytes | None]], headers: Headers) -> "asyncio.Future[None]":
        if not self.life.alive:
            raise asyncio.CancelledError
        loop = self._cluster.loop
        acknowledged: asyncio.Future[None] = loop.create_future()
        acknowledged.add_done_callback(_seen)
        now = loop.time()
        self._free_at = max(now + self._cluster.network.delay(), self._free_at)
        loop.later(self._free_at - now, self._arrive, tp, records, headers, self._transaction, acknowledged, now + _REQUEST_SECONDS)
        return acknowledged

    def _arrive(
        self,
        tp: TopicPartition,
        records: list[tuple[bytes | None, bytes | None]],
        headers: Headers,
        transaction: Transaction | None,
        acknowledged: "asyncio.Future[None]",
        until: float,
    ) -> None:
        cluster = self._cluster
        if cluster.is_cut(self.life):
            if cluster.loop.time() >= until or not self.life.alive:
                _fail(acknowledged, KafkaTimeoutError())
            else:
                cluster.loop.later(_AGAIN_SECONDS, self._arrive, tp, records, headers, transaction, acknowledged, until)
            return
        try:
            for key, value in records:
                cluster.broker.append(tp, key, value, headers, transaction)
        except Exception as error:
            cluster.loop.later(cluster.network.delay(), _fail, acknowledged, error)
            return
        if cluster.network.loses():
            cluster.loop.later(_REQUEST_SECONDS, _fail, acknowledged, KafkaTimeoutError())
        else:
            cluster.loop.later(cluster.network.delay(), settle, acknowledged, None)

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group_id: str) -> None:
        await self._cluster.reach(self.life)
        assert self._transaction is not None
        self._cluster.broker.add_offsets(self._transaction, group_id, offsets)

    async def commit_transaction(self) -> None:
        """An error leaves open whether it is committed."""
        await self._cluster.reach(self.life)
        assert self._transaction is not None
        transaction, self._transaction = self._transaction, None
        if transaction.touched or transaction.offsets:
            self._cluster.broker.commit(transaction)
        await self._cluster.reach(self.life)


def _fail(acknowledged: "asyncio.Future[None]", error: Exception) -> None:
    if not acknowledged.done():
        acknowledged.set_exception(error)


def _seen(acknowledged: "asyncio.Future[None]") -> None:
    """Its error is told to whoever awaits it, and to nobody else."""
    if not acknowledged.cancelled():
        acknowledged.exception()
