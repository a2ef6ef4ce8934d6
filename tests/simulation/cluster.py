"""Owns the simulated Kafka as a whole: the broker behind its network, its groups, and who is told of what is new."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from services.runtime.kafka import partition_of
from tests.simulation.broker import Broker
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.groups import Group
from tests.simulation.loop import Life, SimulatedLoop
from tests.simulation.network import Network

PLACE = "log"


class Cluster:
    """One broker and its groups; `partitions` of every topic."""

    def __init__(self, loop: SimulatedLoop, network: Network, partitions: int) -> None:
        self.loop = loop
        self.network = network
        self.partitions = partitions
        self.broker = Broker()
        self.broker.on_change = self._changed
        self.groups: dict[str, Group] = {}
        self._listening: dict[TopicPartition, dict[SimulatedConsumer, bool]] = {}
        """Whether each is about to be told already."""
        self._partition_of: dict[str, int] = {}

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(self, name))

    def partition_of(self, org_id: str) -> int:
        if org_id not in self._partition_of:
            self._partition_of[org_id] = partition_of(org_id, self.partitions)
        return self._partition_of[org_id]

    def is_cut(self, life: Life) -> bool:
        return self.network.is_cut(life.name, PLACE)

    async def reach(self, life: Life) -> None:
        """A request's way to the broker, or an answer's way back; raises Kafka's own error where there is none."""
        if not life.alive:
            raise asyncio.CancelledError
        await self.loop.sleep(self.network.delay())
        if self.is_cut(life) or self.network.loses():
            await self.loop.sleep(1.0)
            raise KafkaConnectionError("the broker does not answer")

    def listen(self, consumer: SimulatedConsumer, tp: TopicPartition) -> None:
        self._listening.setdefault(tp, {})[consumer] = False
        self._tell(consumer, tp)

    def forget(self, consumer: SimulatedConsumer) -> None:
        for tp in consumer.assignment():
            self._listening.get(tp, {}).pop(consumer, None)

    def _changed(self, tp: TopicPartition) -> None:
        for consumer, is_told in self._listening.get(tp, {}).items():
            if not is_told and consumer.lacks(tp):
                self._tell(consumer, tp)

    def _tell(self, consumer: SimulatedConsumer, tp: TopicPartition) -> None:
        self._listening[tp][consumer] = True
        self.loop.later(self.network.delay(), self._told, consumer, tp)

    def _told(self, consumer: SimulatedConsumer, tp: TopicPartition) -> None:
        listening = self._listening.get(tp, {})
        if consumer in listening:
            listening[consumer] = False
            consumer.hear(tp)

    def silent(self, life: Life) -> None:
        for group in self.groups.values():
            group.silent(life)

    def healed(self) -> None:
        """Cuts have ended: who waited for news gets it."""
        for tp, listening in self._listening.items():
            for consumer in listening:
                self._tell(consumer, tp)

    def spawn(self, life: Life, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Begin this work inside the process life, or not at all where it is dead."""
        if life.alive:
            self.loop.call_soon(self._begin, life, work, arguments, context=life.context)

    def _begin(self, life: Life, work: Callable[..., Coroutine[Any, Any, None]], arguments: tuple[Any, ...]) -> None:
        if life.alive:
            self.loop.create_task(work(*arguments))
