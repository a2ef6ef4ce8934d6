"""Owns a simulated consumer group: who is in it, whom it takes for dead, and which partitions it gives to whom."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from tests.simulation.loop import Life

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.consumer import SimulatedConsumer

SESSION_SECONDS = 4.0
_REBALANCE_SECONDS = 6.0
_HEARTBEAT_SECONDS = 1.0


class Group:
    """Eager rebalances by range. Whoever does not give its partitions back in time is left out and learns it by its next heartbeat."""

    def __init__(self, cluster: "Cluster", name: str) -> None:
        self.name = name
        self.generation = 0
        self.members: dict[SimulatedConsumer, list[TopicPartition]] = {}
        self._cluster = cluster
        self._waits_for: dict[SimulatedConsumer, None] = {}
        self._state = "stable"

    def committed(self, tp: TopicPartition) -> int:
        return self._cluster.broker.offsets.get((self.name, tp), 0)

    def keep(self, tp: TopicPartition, offset: int) -> None:
        self._cluster.broker.keep(self.name, tp, offset)

    def is_current(self, member: "SimulatedConsumer") -> bool:
        return member in self.members and self._state == "stable" and member.generation == self.generation

    def join(self, member: "SimulatedConsumer") -> None:
        for former in [m for m in self.members if member.instance is not None and m.instance == member.instance and m is not member]:
            held = self.members.pop(former)
            self._waits_for.pop(former, None)
            if self._state == "stable" and held:
                self.members[member] = held
                self._tell(member, self._assigned, self.generation, held)
                return
        self.members[member] = []
        self.rebalance()

    def leave(self, member: "SimulatedConsumer") -> None:
        if member in self.members:
            self._drop(member)
            self.rebalance()

    def _drop(self, member: "SimulatedConsumer") -> None:
        del self.members[member]
        self._waits_for.pop(member, None)

    def rebalance(self) -> None:
        if self._state == "stable":
            self._state = "asked"
            self._cluster.loop.later(0.05 + self._cluster.network.delay(), self._begin)
        elif self._state == "revoking":
            self._go_on()

    def _begin(self) -> None:
        self._state = "revoking"
        self.generation += 1
        self._waits_for = dict.fromkeys(member for member, held in self.members.items() if held)
        for member in self._waits_for:
            self._tell(member, self._revoked, self.generation)
        self._cluster.loop.later(_REBALANCE_SECONDS, self._out_of_time, self.generation)
        self._go_on()

    async def _revoked(self, member: "SimulatedConsumer", generation: int) -> None:
        await member.revoked()
        if generation == self.generation and member in self.members:
            self._waits_for.pop(member, None)
            self._cluster.loop.later(self._cluster.network.delay(), self._go_on)

    def _out_of_time(self, generation: int) -> None:
        if generation != self.generation or self._state != "revoking":
            return
        for member in list(self._waits_for):
            self._lose(member)
        self._go_on()

    def _go_on(self) -> None:
        if self._state != "revoking" or self._waits_for:
            return
        self._state = "stable"
        self.generation += 1
        members = list(self.members)
        tps = [[TopicPartition(topic, p) for topic in member.topics] for member in members[:1] for p in range(self._cluster.partitions)]
        for number, member in enumerate(members):
            share = tps[number * len(tps) // len(members) : (number + 1) * len(tps) // len(members)]
            held = self.members[member] = [tp for of_partition in share for tp in of_partition]
            self._tell(member, self._assigned, self.generation, held)

    async def _assigned(self, member: "SimulatedConsumer", generation: int, held: list[TopicPartition]) -> None:
        if member in self.members and generation == self.generation:
            await member.assigned(generation, {tp: self.committed(tp) for tp in held})

    def _tell(self, member: "SimulatedConsumer", work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        self._cluster.loop.later(self._cluster.network.delay(), self._cluster.spawn, member.life, work, member, *arguments)

    def silent(self, life: Life) -> None:
        """A life is dead, frozen or cut off: after the session it is given up, unless it is heard of again."""
        self._cluster.loop.later(SESSION_SECONDS, self._expire, life)

    def _expire(self, life: Life) -> None:
        if life.alive and not life.frozen and not self._cluster.is_cut(life):
            return
        for member in [member for member in self.members if member.life is life]:
            self._lose(member)
            self.rebalance()

    def _lose(self, member: "SimulatedConsumer") -> None:
        self._drop(member)
        self._cluster.loop.later(_HEARTBEAT_SECONDS, self._learns, member)

    def _learns(self, member: "SimulatedConsumer") -> None:
        if not member.life.alive or member in self.members:
            return
        if member.life.frozen or self._cluster.is_cut(member.life):
            self._cluster.loop.later(_HEARTBEAT_SECONDS, self._learns, member)
        else:
            self._cluster.spawn(member.life, self._rejoin, member)

    async def _rejoin(self, member: "SimulatedConsumer") -> None:
        await member.revoked()
        self.join(member)
