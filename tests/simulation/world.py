"""Owns one run: the world of a seed from its beginning to its verdict."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from events.codec import encode_command
from events.commands import ReportCall
from events.envelope import Command
from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS
from services.dialer.metrics import DialerMetrics
from services.dialer.provider import PlaceCall
from services.engine.decider.policy import Policy
from services.notifier.metrics import NotifierMetrics
from services.projector.metrics import ProjectorMetrics
from tests.simulation.broker import Record, Transaction
from tests.simulation.cluster import Cluster
from tests.simulation.exchange import NAME, Exchange, TakenCall
from tests.simulation.fact_checks import FactChecks
from tests.simulation.faults import KINDS, Faults
from tests.simulation.log_checks import LogChecks
from tests.simulation.loop import Life, RunEndsError, SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.processes import Process
from tests.simulation.provider_checks import ProviderChecks
from tests.simulation.services import MAINS, OUTCOME_SECONDS, Outside
from tests.simulation.store_checks import StoreChecks, WatchedStore, done
from tests.simulation.users import User
from tests.simulation.webhooks import Receivers, WatchedNotifierStore, WebhookChecks, new_metrics, run_notifier

PARTITIONS = 2
ORGS = ("org-red", "org-green", "org-blue")
TROUBLE_SECONDS = 30.0
HEALS_WITHIN_SECONDS = 60.0
_ENDS_WITHIN_SECONDS = 400.0
POLICY = Policy(
    org_limit=3,
    hour=timedelta(seconds=120),
    contacts_window=timedelta(seconds=30),
    outcome_window=timedelta(seconds=OUTCOME_SECONDS),
    longest_call=timedelta(seconds=60),
    report_window=timedelta(seconds=30),
)


@dataclass(slots=True)
class Outcome:
    """What a run came to. `trace` is a hash over everything that became durable or went out, with its time."""

    seed: int
    lively: bool
    steps: int
    trace: str
    violations: list[str]
    faults: Counter[str]
    claimed: int
    unknown: int
    doubled: int
    recovery_seconds: float | None
    events: int


@dataclass(slots=True)
class Metrics:
    """The services' metrics, shared by all runs of a process: nobody reads them."""

    dialer: DialerMetrics = field(default_factory=lambda: DialerMetrics(CollectorRegistry()))
    notifier: NotifierMetrics = field(default_factory=new_metrics)
    projector: ProjectorMetrics = field(default_factory=lambda: ProjectorMetrics(CollectorRegistry()))


class World:
    """Everything of one seed. An odd seed heals in the end and must then come to rest; an even one is broken to the end.

    `bugs` stand in for parts of the services; `kinds` are the only faults, where they are given.
    """

    def __init__(self, seed: int, metrics: "Metrics", bugs: Mapping[str, Any] | None = None, kinds: Sequence[str] | None = None) -> None:
        self.seed = seed
        self.lively = seed % 2 == 1
        self.loop = SimulatedLoop()
        self.random = Random(f"ringfold {seed}")
        self.violations: list[str] = []
        self.events = 0
        self.trace = hashlib.blake2b(digest_size=16)
        bugs = bugs or {}
        draw = self.random
        self.network = Network(self.loop, Random(draw.getrandbits(64)))
        self.cluster = Cluster(self.loop, self.network, PARTITIONS)
        self.orgs = ORGS[: draw.choice((2, 2, 3))]
        self.facts = FactChecks(POLICY, self.report, self.loop.time, self._has_call)
        self.log_checks = LogChecks(self.orgs, self.cluster.partition_of, self.records_of, self.facts, self.report)
        self.at_provider = ProviderChecks(self.orgs, POLICY, self.facts, self.report)
        self.cluster.broker.on_commit = self._committed
        self.cluster.broker.on_place = self.log_checks.moved
        self.store: WatchedStore = bugs.get("store", WatchedStore)()
        self.store_checks = StoreChecks(self.store, self.records_of, self.report)
        self.store.written = self._written
        self.exchange = Exchange(
            self.network, Random(draw.getrandbits(64)), self._callback, self._asked, self.at_provider.taken, self.at_provider.over
        )
        self.exchange.mute = draw.choice((0.02, 0.05, 0.3))
        self.exchange.silent = draw.choice((0.0, 0.0, 0.1))
        self.webhooks = WebhookChecks(self.orgs, self.report)
        self.receivers = Receivers(self.network, Random(draw.getrandbits(64)), self.webhooks)
        notifier_store: WatchedNotifierStore = bugs.get("notifier_store", WatchedNotifierStore)()
        notifier_store.left = self._left
        self.notifier_store = notifier_store
        self.outside = Outside(
            self.cluster,
            self.network,
            self.store,
            self.exchange,
            POLICY,
            Random(draw.getrandbits(64)),
            notifier_store,
            self.receivers,
            metrics.dialer,
            metrics.projector,
            metrics.notifier,
            can_find=draw.random() < 0.7,
            bugs=bugs,
        )
        self.processes = [
            Process(self.cluster, f"{kind}-{number}", partial(main, self.outside))
            for kind, main in {**MAINS, "notifier": run_notifier}.items()
            for number in range(draw.choice((1, 2)))
        ]
        self._life = Life(self.loop, "users")
        self.users = [User(org, self.cluster, Random(draw.getrandbits(64)), self._life, TROUBLE_SECONDS) for org in self.orgs]
        kinds = draw.sample(KINDS, draw.randint(0, 5)) if kinds is None else kinds
        self.faults = Faults(self.cluster, self.network, self.exchange, self.receivers, self.processes, Random(draw.getrandbits(64)), kinds)
        self.at_provider.is_exact = not {"freeze", "clock"} & set(kinds)

    def records_of(self, tp: TopicPartition) -> Sequence[Record | None]:
        return self.cluster.broker.partition(tp).records

    def report(self, violation: str) -> None:
        self.violations.append(f"{violation} (at {self.loop.time():.3f} s)")
        self.loop.end_run("a promise is broken")

    def note(self, *what: object) -> None:
        self.trace.update(repr((round(self.loop.time(), 6), *what)).encode())

    def _committed(self, transaction: Transaction, written: Mapping[TopicPartition, Sequence[Record]]) -> None:
        for tp, records in written.items():
            self.note(tp.topic, tp.partition, [record.value for record in records])
            if tp.topic == CAMPAIGN_EVENTS.name:
                for record in records:
                    self.webhooks.committed(record)
            self.events += len(records)
        self.log_checks.committed(transaction, written)

    def _written(self, partition: int, next_offset: int) -> None:
        self.note("store", partition, next_offset)
        self.store_checks.written(partition, next_offset)

    def _left(self, message_ids: Sequence[str]) -> None:
        self.note("left", message_ids)
        self.webhooks.left(message_ids)

    def _asked(self, call: PlaceCall, claim_id: str) -> None:
        self.note("post", call.task.call_id, call.attempt, claim_id)
        self.at_provider.asked(call, claim_id)

    def _has_call(self, call_id: str, attempt: int) -> bool:
        return self.at_provider.has(call_id, attempt)

    def _callback(self, call: TakenCall, report: dict[str, Any]) -> None:
        """As the API does it: a report of the provider becomes a command, tried again until it is durable."""
        if self.network.is_cut("*", "log"):
            self.loop.later(1.0, self._callback, call, report)
            return
        said = {"attempt": call.attempt, "provider": NAME, "providerCallId": call.id, **report}
        id = f"{self.outside.new_id()}"
        command = Command(id, call.org_id, ReportCall.model_validate(said), "/api", call.campaign_id, call.call_id)
        tp = TopicPartition(CALL_COMMANDS.name, self.cluster.partition_of(call.org_id))
        self.cluster.broker.append(tp, call.org_id.encode(), encode_command(command), (), None)

    def lag(self) -> int:
        """How many records are still to be handled or folded."""
        stored = done(self.store.next_offsets())
        behind = 0
        for partition in range(PARTITIONS):
            for topic in (CAMPAIGN_COMMANDS, CALL_COMMANDS):
                tp = TopicPartition(topic.name, partition)
                behind += self._between(tp, self.cluster.broker.offsets.get(("engine", tp), 0))
            events = TopicPartition(CAMPAIGN_EVENTS.name, partition)
            behind += self._between(events, stored.get(partition, 0))
            behind += self._between(events, self.notifier_store.next_offset(partition))
        return behind

    def _between(self, tp: TopicPartition, begin: int) -> int:
        partition = self.cluster.broker.partition(tp)
        return len(partition.read(begin, partition.stable_end(), 1_000_000)[0])

    def run(self) -> Outcome:
        """From the beginning to the first broken promise, or to the end."""
        recovery_seconds = None
        logging.disable(logging.CRITICAL)
        try:
            recovery_seconds = self.loop.run_until_complete(self._live())
        except RunEndsError as error:
            if not self.violations:
                self.report(str(error))
        finally:
            self._end()
            logging.disable(logging.NOTSET)
        return Outcome(
            seed=self.seed,
            lively=self.lively,
            steps=self.loop.steps,
            trace=self.trace.hexdigest(),
            violations=self.violations,
            faults=self.faults.counts,
            claimed=len(self.facts.granted),
            unknown=self.facts.unknown,
            doubled=self.at_provider.doubled,
            recovery_seconds=recovery_seconds,
            events=self.events,
        )

    async def _live(self) -> float | None:
        for process in self.processes:
            process.start()
        for user in self.users:
            self.cluster.spawn(self._life, user.live)
        self.faults.begin(TROUBLE_SECONDS)
        await asyncio.sleep(TROUBLE_SECONDS)
        if not self.lively:
            return None
        self.faults.heal()
        healed_at = self.loop.time()
        while self.lag():
            await asyncio.sleep(0.1)
            if self.loop.time() > healed_at + HEALS_WITHIN_SECONDS:
                self.report(f"I8: a minute after all was well {self.lag()} records were still to be handled")
        recovery_seconds = self.loop.time() - healed_at
        while left := self.facts.without_outcome(healed_at):
            await asyncio.sleep(1)
            if self.loop.time() > healed_at + HEALS_WITHIN_SECONDS:
                self.report(f"I8: a minute after all was well these claims have no outcome: {left}")
        await self._rest(healed_at + _ENDS_WITHIN_SECONDS)
        return recovery_seconds

    async def _rest(self, until: float) -> None:
        """Until every campaign is over that nobody paused, and all is folded."""
        while self.lag() or self.facts.unfinished() or self.webhooks.missing():
            await asyncio.sleep(5)
            if self.loop.time() > until:
                self.report(
                    f"I8: these campaigns never end: {self.facts.unfinished()}, {self.lag()} records are not handled, "
                    f"{len(self.webhooks.missing())} webhooks never came"
                )
        self.store_checks.compare_all()
        answered = self.log_checks.answered
        for user in self.users:
            for command_id in user.acknowledged:
                if (user.org_id, command_id) not in answered:
                    self.report(f"I1: the command {command_id} was acknowledged and never answered")

    def _end(self) -> None:
        self.loop.limits_steps = False
        for life in (self._life, *(process.life for process in self.processes)):
            if life is not None:
                life.kill()
        for process in self.processes:
            process.life = Life(self.loop, process.name)
        for _ in range(10):
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self.loop.close()
