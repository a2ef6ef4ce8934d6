"""Owns the simulated consumer: what the services use of aiokafka's, with fetches, seeks, pauses and rebalances as they befall it."""

import asyncio
from collections.abc import Iterable, KeysView, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from tests.simulation.broker import Record
from tests.simulation.loop import Life, settle

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.groups import Group

_MOST_RECORDS = 500


class SimulatedConsumer:
    """Of one process life. In a group, or assigned by hand; `committed_only` as `isolation_level` says it.

    `patience` stretches what it waits for nothing, so that an idle process costs little.
    """

    def __init__(
        self,
        cluster: "Cluster",
        life: Life,
        group: "Group | None" = None,
        *,
        instance: str | None = None,
        committed_only: bool = True,
        patience: float = 1.0,
    ) -> None:
        self.life = life
        self.instance = instance
        self.generation = 0
        self.topics: list[str] = []
        self._cluster = cluster
        self._group = group
        self._patience = patience
        self._committed_only = committed_only
        self._listener: Any = None
        self._started = False
        self._ends: dict[TopicPartition, int] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._paused: dict[TopicPartition, None] = {}
        self._waiting: dict[asyncio.Future[None], Iterable[TopicPartition]] = {}

    async def start(self) -> None:
        await self._reach()
        self._started = True
        self._join()

    def subscribe(self, topics: Iterable[str], listener: Any) -> None:
        self.topics, self._listener = list(topics), listener
        self._join()

    def _join(self) -> None:
        if self._group is not None and self._started and self.topics:
            self._group.join(self)

    async def stop(self) -> None:
        self._cluster.forget(self)
        if self._group is not None:
            self._group.leave(self)
        self._positions.clear()

    async def _reach(self) -> None:
        await self._cluster.reach(self.life)

    def assign(self, tps: Iterable[TopicPartition]) -> None:
        self._place(dict.fromkeys(tps, 0))

    def _place(self, positions: Mapping[TopicPartition, int]) -> None:
        self._cluster.forget(self)
        self._positions = dict(positions)
        self._paused.clear()
        self._ends.clear()
        for tp in positions:
            self._cluster.listen(self, tp)

    def assignment(self) -> KeysView[TopicPartition]:
        return self._positions.keys()

    def pause(self, *tps: TopicPartition) -> None:
        self._paused |= dict.fromkeys(tps)

    def resume(self, *tps: TopicPartition) -> None:
        for tp in tps:
            self._paused.pop(tp, None)
        self._wake()

    def paused(self) -> list[TopicPartition]:
        return list(self._paused)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        if tp not in self._positions:
            raise ValueError(f"{tp} is not assigned")
        self._positions[tp] = offset
        self._wake()

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await self._reach()
        ends = {tp: self._cluster.broker.partition(tp).stable_end() for tp in tps}
        for tp, end in ends.items():
            if tp in self._positions:
                self._ends[tp] = max(end, self._ends.get(tp, 0))
        return ends

    async def beginning_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def committed(self, tp: TopicPartition) -> int:
        await self._reach()
        return self._group.committed(tp) if self._group is not None else 0

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._reach()
        if self._group is None or not self._group.is_current(self):
            raise CommitFailedError("the group has gone on without this member")
        for tp, offset in offsets.items():
            self._group.keep(tp, offset)

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Record]]:
        until = self._cluster.loop.time() + timeout_ms / 1000 * self._patience
        while True:
            found = self._take(tps or tuple(self._positions), max_records or _MOST_RECORDS)
            remaining = until - self._cluster.loop.time()
            if found or remaining <= 0:
                return found
            await self._news(tps, remaining)

    def _take(self, tps: Iterable[TopicPartition], most: int) -> dict[TopicPartition, list[Record]]:
        if not self.life.alive:
            raise asyncio.CancelledError
        if self._cluster.is_cut(self.life):
            return {}
        found = {}
        for tp in tps:
            position, end = self._positions.get(tp), self._ends.get(tp, 0)
            if position is None or tp in self._paused or position >= end or most <= 0:
                continue
            records, self._positions[tp] = self._cluster.broker.partition(tp).read(position, end, most, committed=self._committed_only)
            if records:
                found[tp] = records
                most -= len(records)
        return found

    async def _news(self, tps: Iterable[TopicPartition], seconds: float) -> None:
        loop = self._cluster.loop
        waiter = loop.create_future()
        timer = loop.call_later(seconds, settle, waiter, None)
        self._waiting[waiter] = tps
        try:
            await waiter
        finally:
            timer.cancel()
            del self._waiting[waiter]

    def hear(self, tp: TopicPartition) -> None:
        """What is on the partition becomes known."""
        if tp in self._positions:
            self._ends[tp] = self._end(tp)
            self._wake(tp)

    def lacks(self, tp: TopicPartition) -> bool:
        """Whether there is more on the partition, for such a reader, than it knows of."""
        return self._end(tp) > self._ends.get(tp, 0)

    def _end(self, tp: TopicPartition) -> int:
        partition = self._cluster.broker.partition(tp)
        return partition.stable_end() if self._committed_only else len(partition.records)

    def _wake(self, tp: TopicPartition | None = None) -> None:
        for waiter, tps in self._waiting.items():
            if tp is None or not tps or tp in tps:
                settle(waiter, None)

    async def revoked(self) -> None:
        """The group takes everything back."""
        old = list(self._positions)
        await self._listener.on_partitions_revoked(old)
        self._place({})

    async def assigned(self, generation: int, positions: Mapping[TopicPartition, int]) -> None:
        self.generation = generation
        self._place(positions)
        await self._listener.on_partitions_assigned(list(positions))
