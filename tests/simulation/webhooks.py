"""Owns the customers' servers, what must hold of the webhooks that they get (I9, I7), and how the notifier is wired."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from prometheus_client import CollectorRegistry

from events.codec import read_event
from events.topics import CAMPAIGN_EVENTS
from services.notifier.delivering import Deliverer
from services.notifier.in_flight import Bounds
from services.notifier.log_reading import LogReader
from services.notifier.memory_store import MemoryNotifierStore
from services.notifier.messages import Known, WebhookMessage, message_of
from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import Delivery, Failed
from services.notifier.sending import Answer
from services.runtime.process import until_stopped_or_failed
from tests.simulation.broker import Record
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.loop import Life, settle
from tests.simulation.network import Network, Remote
from tests.simulation.processes import Process
from tests.simulation.services import Outside

STORE = "notifier-store"
PLACE = "webhooks"
REQUEST_SECONDS = 5.0
_WINDOW_SECONDS = 3_600.0
_PATIENCE = 20
_LOOK_SECONDS = 5.0


class WatchedNotifierStore(MemoryNotifierStore):
    """A store that tells which messages leave it as taken."""

    left: Callable[[Sequence[str]], None]

    async def settle(self, taken: Sequence[str], failed: Sequence[Failed]) -> None:
        self.left(taken)
        await super().settle(taken, failed)


@dataclass(slots=True)
class WebhookChecks:
    """`expected` are the messages that follow from the log; `taken` those that their receiver said yes to."""

    orgs: Sequence[str]
    report: Callable[[str], None]
    expected: dict[str, WebhookMessage] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    _known: Known = field(default_factory=Known)

    def committed(self, record: Record) -> None:
        event = read_event(record.value)
        known = self._known.campaigns.get(event.get("subject", ""))
        names = None if known is None else known.names
        message = message_of(self._known, event)
        if known is not None and names is not None:
            # nothing is forgotten here, so that forgetting too early shows as a message that is missing
            known.names = names
        if message is not None:
            self.expected[message.id] = message

    def arrived(self, delivery: Delivery) -> None:
        expected = self.expected.get(delivery.id)
        if expected is None:
            self.report("I9: a webhook came under an id that does not follow from the log")
        elif (expected.body, expected.sequence) != (delivery.body, delivery.sequence):
            self.report("I9: a webhook came with another body or number than the log gives it")
        said = delivery.body + repr(delivery.server).encode()
        if delivery.org_id not in delivery.server["url"] or any(o.encode() in said for o in self.orgs if o != delivery.org_id):
            self.report("I7: a webhook came to another org's server")

    def left(self, message_ids: Sequence[str]) -> None:
        if not self.taken.issuperset(message_ids):
            self.report("I9: a webhook left the outbox before its receiver took it")

    def missing(self) -> list[str]:
        return [id for id in self.expected if id not in self.taken]


@dataclass(slots=True)
class Receivers:
    """All customers' servers. `down` answers nothing."""

    network: Network
    random: Random
    checks: WebhookChecks
    down: bool = False

    def arrive(self, delivery: Delivery, answered: "asyncio.Future[Answer]") -> None:
        """A request; its sender may be gone by now."""
        if self.down:
            return
        self.checks.arrived(delivery)
        if self.random.random() < 0.08:
            answer = Answer(500, "answered 500")
        else:
            self.checks.taken.add(delivery.id)
            answer = Answer(200)
        if self.random.random() > 0.03:
            self.network.loop.later(self.network.delay(), settle, answered, answer)


class SimulatedWebhooks:
    """`Webhooks` as one notifier process life sends them."""

    def __init__(self, receivers: Receivers, life: Life) -> None:
        self._receivers = receivers
        self._life = life

    async def send(self, delivery: Delivery) -> Answer:
        if not self._life.alive:
            raise asyncio.CancelledError
        network = self._receivers.network
        answered: asyncio.Future[Answer] = network.loop.create_future()
        if not network.is_cut(self._life.name, PLACE):
            network.loop.later(network.delay(), self._receivers.arrive, delivery, answered)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await answered
        except TimeoutError:
            return Answer(error="no answer came")


def new_metrics() -> NotifierMetrics:
    return NotifierMetrics(CollectorRegistry())


async def run_notifier(outside: Outside, process: Process, life: Life) -> None:
    cluster, clock = outside.cluster, process.clock
    store: Any = Remote(outside.notifier_store, outside.network, life, STORE)
    async with AsyncExitStack() as stack:
        consumer = SimulatedConsumer(cluster, life, cluster.group("notifier"), instance=process.name, patience=_PATIENCE)
        stack.push_async_callback(consumer.stop)
        reader: LogReader
        deliverer = outside.part("deliverer", Deliverer)(
            outbox=store,
            webhooks=outside.part("webhooks", SimulatedWebhooks)(outside.receivers, life),
            clock=clock,
            bounds=Bounds(20, 8, 4, _WINDOW_SECONDS),
            partitions=lambda: reader.partitions(),
            metrics=outside.notifier_metrics,
            look_seconds=_LOOK_SECONDS,
        )
        stack.push_async_callback(deliverer.close, 1.0)
        reader = LogReader(consumer, store, clock, _WINDOW_SECONDS, deliverer.wake, _never_restored, outside.notifier_metrics)
        consumer.subscribe([CAMPAIGN_EVENTS.name], listener=reader)
        await consumer.start()
        await until_stopped_or_failed(asyncio.Event(), reader.run(), deliverer.run())


async def _never_restored(partition: int) -> None:
    raise AssertionError(f"the notifier's store went back on partition {partition}, which nothing did to it")
