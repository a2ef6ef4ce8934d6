"""Owns how the services are wired in the simulation: their own logic, on simulated clients, as their `bootstrap`s wire it on real ones."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, Topic
from projections.dial_task.task import DialTask
from projections.store.memory_store import MemoryProjectionStore
from services.dialer.claim_following import ClaimFollower
from services.dialer.command_log import KafkaCommandLog
from services.dialer.dial_tasks import ReadModelDialTasks
from services.dialer.dispatcher import Dispatcher
from services.dialer.lines import Lines, new_line
from services.dialer.metrics import DialerMetrics
from services.dialer.predial import Eligible, NotEligible, PredialFailed, Verdict
from services.dialer.queue_reading import QueueReader
from services.dialer.reconciliation import Reconciliation
from services.engine.decider.policy import Policy
from services.engine.kafka_log import KafkaPartitionLog
from services.engine.observer import Observer
from services.engine.partition import PartitionEngine
from services.engine.ports import Batch
from services.engine.service import Workers
from services.projector.batch import Batch as RecordBatch
from services.projector.folding import Folding
from services.projector.log_reading import Run
from services.projector.metrics import ProjectorMetrics
from services.projector.places import Places
from services.projector.progress import FoldProgress
from services.runtime.process import until_stopped_or_failed
from tests.simulation.cluster import Cluster
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.exchange import Exchange, SimulatedProvider
from tests.simulation.loop import Life
from tests.simulation.network import Network, Remote
from tests.simulation.processes import Process
from tests.simulation.producer import SimulatedProducer

CLAIM_SECONDS = 8.0
OUTCOME_SECONDS = 20.0
IDLE_SECONDS = 4.0


class QuietObserver(Observer):
    """Counts nothing."""

    def __post_init__(self) -> None:
        """No metrics."""

    def ready(self, partition: int, ready: bool) -> None:
        """Nobody asks."""

    def committed(self, batch: Batch, seconds: float) -> None:
        """Nobody asks."""


@dataclass
class Outside:
    """What all processes share, and what a planted bug may replace."""

    cluster: Cluster
    network: Network
    store: MemoryProjectionStore
    exchange: Exchange
    policy: Policy
    random: Random
    notifier_store: Any
    receivers: Any
    dialer_metrics: DialerMetrics
    projector_metrics: ProjectorMetrics
    notifier_metrics: Any
    can_find: bool = True
    bugs: Mapping[str, Any] = field(default_factory=dict)

    def new_id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def part(self, name: str, plain: Any) -> Any:
        """The part as it is, or as the planted bug has it."""
        return self.bugs.get(name, plain)


def topic_name(topic: Topic) -> str:
    return topic.name


async def run_engine(outside: Outside, process: Process, life: Life) -> None:
    cluster = outside.cluster
    async with AsyncExitStack() as stack:
        consumer = SimulatedConsumer(cluster, life, cluster.group("engine"))
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        failed: asyncio.Future[bool] = cluster.loop.create_future()

        def partition_engine(partition: int) -> PartitionEngine:
            log = outside.part("partition_log", KafkaPartitionLog)(
                partition=partition,
                group_id="engine",
                consumer=consumer,
                new_producer=lambda: SimulatedProducer(cluster, life, outside.part("transactional_id", _shared_id)(partition, life)),
                new_reader=lambda: SimulatedConsumer(cluster, life),
                name_of=topic_name,
                partition_of=cluster.partition_of,
            )
            store = Remote(outside.store, outside.network, life, "store")
            return PartitionEngine(
                partition=partition,
                log=log,
                snapshots=outside.part("snapshots", _as_it_is)(store),
                clock=process.clock,
                policy=outside.part("policy", _as_it_is)(outside.policy),
                nonce=outside.new_id,
                observer=QuietObserver(CollectorRegistry()),
                longest_wait_seconds=IDLE_SECONDS,
            )

        workers = Workers(consumer, partition_engine, failed)
        stack.push_async_callback(workers.stop)
        consumer.subscribe([topic_name(topic) for topic in (CALL_COMMANDS, CAMPAIGN_COMMANDS)], workers)
        await until_stopped_or_failed(asyncio.Event(), failed)


def _shared_id(partition: int, life: Life) -> str:
    return f"engine-{partition}"


def _publishes_nothing(partition: int) -> None:
    """`campaign-state` is left out."""


def _as_it_is(part: Any) -> Any:
    return part


@dataclass
class ProjectorReading:
    """The projector's reading of the log, in the place of Faust: its own rules on where to go on, on a simulated consumer."""

    consumer: SimulatedConsumer
    progress: FoldProgress
    failed: "asyncio.Future[bool]"
    places: Places = field(default_factory=Places)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.places.forget()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.places.forget()
        tps = list(assigned)
        try:
            if tps:
                self.places.place(self.consumer, await self.progress.starting_offsets(dict.fromkeys(tps).keys(), self))  # type: ignore[arg-type]
        except Exception as error:
            if not self.failed.done():
                self.failed.set_exception(error)

    def is_current(self, batch: RecordBatch) -> bool:
        return self.places.epoch_of(batch.partition) == batch.epoch

    def pause_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        self.consumer.pause(*partitions)

    async def rewind(self, partition: TopicPartition, offset: int) -> None:
        self.places.place(self.consumer, {partition: offset})

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {tp: (0, end) for tp, end in (await self.consumer.end_offsets(partitions)).items()}

    async def run(self) -> None:
        while True:
            for batch in (await self.places.fetch(self.consumer, self._runs())).values():
                await self.progress.fold(batch, self)

    async def _runs(self) -> dict[TopicPartition, list[Run]]:
        fetched = await self.consumer.getmany(timeout_ms=60_000)
        return {partition: [Run(record.offset, [record.value]) for record in records] for partition, records in fetched.items()}


async def run_projector(outside: Outside, process: Process, life: Life) -> None:
    cluster = outside.cluster
    async with AsyncExitStack() as stack:
        committed_only = outside.part("projector_reads_committed", True)
        consumer = SimulatedConsumer(cluster, life, cluster.group("projector"), instance=process.name, committed_only=committed_only)
        stack.push_async_callback(consumer.stop)
        store: Any = Remote(outside.store, outside.network, life, "store")
        folding = Folding(store, _publishes_nothing)
        failed: asyncio.Future[bool] = cluster.loop.create_future()
        progress = outside.part("fold_progress", FoldProgress)(store, folding, outside.projector_metrics)
        reading = ProjectorReading(consumer, progress, failed)
        consumer.subscribe([topic_name(CAMPAIGN_EVENTS)], reading)
        await consumer.start()
        await until_stopped_or_failed(asyncio.Event(), failed, reading.run())


@dataclass
class SimulatedPredial:
    """The customers' servers, asked before a call."""

    network: Network
    random: Random

    async def ask(self, task: DialTask) -> Verdict:
        await asyncio.sleep(self.network.delay())
        draw = self.random.random()
        return Eligible() if draw < 0.7 else NotEligible() if draw < 0.85 else PredialFailed("no answer")


async def run_dialer(outside: Outside, process: Process, life: Life) -> None:
    cluster, clock = outside.cluster, process.clock
    store: Any = Remote(outside.store, outside.network, life, "store")
    async with AsyncExitStack() as stack:
        tasks = ReadModelDialTasks(store, clock)
        commands = KafkaCommandLog(topic_name(CALL_COMMANDS), lambda: SimulatedProducer(cluster, life), clock)
        stack.push_async_callback(commands.stop)
        await commands.start()
        provider = outside.part("provider", SimulatedProvider)(outside.exchange, life, can_find=outside.can_find)
        lines = Lines.of_one(new_line(provider, clock, outside.random.random, 20))
        dispatcher = outside.part("dispatcher", Dispatcher)(
            claimant=outside.new_id(),
            claim_valid_seconds=CLAIM_SECONDS,
            clock=clock,
            commands=commands,
            tasks=tasks,
            predial=SimulatedPredial(outside.network, outside.random),
            lines=lines,
            callback_url_of=lambda claim: claim.id,
            new_id=outside.new_id,
            metrics=outside.dialer_metrics,
        )
        stack.push_async_callback(dispatcher.close, 1.0)
        reconciliation = Reconciliation(clock, commands, lines, outside.new_id, outside.dialer_metrics)
        stack.push_async_callback(reconciliation.close)
        topic = topic_name(CAMPAIGN_EVENTS)
        follower = ClaimFollower(SimulatedConsumer(cluster, life, patience=30), topic, cluster.partitions, dispatcher.on_claimed)
        stack.push_async_callback(follower.stop)
        await follower.start()
        consumer = SimulatedConsumer(cluster, life, cluster.group("dialer"), instance=process.name, patience=10)
        stack.push_async_callback(consumer.stop)
        reader = QueueReader(consumer, dispatcher, reconciliation.look_up, clock, 100)
        stack.push_async_callback(reader.close)
        consumer.subscribe([topic], listener=reader)
        await consumer.start()
        await until_stopped_or_failed(asyncio.Event(), tasks.run(), dispatcher.run(), follower.run(), reader.run())


MAINS: dict[str, Callable[[Outside, Process, Life], Any]] = {
    "engine": run_engine,
    "projector": run_projector,
    "dialer": run_dialer,
}
