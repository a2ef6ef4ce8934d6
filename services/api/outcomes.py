"""Owns how the API learns what became of a command: it follows the events of all partitions from their end, without a group."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from events.codec import read_event
from events.envelope import EventRecord
from services.api.plans import Plan
from services.runtime.clock import Clock

_POLL_MS = 500
_AGAIN_SECONDS = 0.5
_REJECTED = "CommandRejected.v1"
_NO_EFFECT = "CommandHadNoEffect.v1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the log says became of a plan. The read model shows it once its offset of `partition` has reached `next_offset`.

    `first_offset`: of the first event that names the plan's commands. `reason` is None where the plan was accepted; where
    the same command was rejected before, it is `repeated` and `rejected_id` names the command.
    """

    partition: int
    first_offset: int
    next_offset: int
    reason: str | None = None
    messages: list[str] = field(default_factory=list)
    rejected_id: str | None = None


@dataclass(slots=True, eq=False)
class Expectation:
    """A plan whose outcome somebody waits for."""

    plan: Plan
    outcome: "asyncio.Future[Outcome]"
    first_offset: int | None = None
    next_offset: int = 0

    def take(self, event: EventRecord, record: "ConsumerRecord[bytes | None, bytes | None]") -> bool:
        """Whether the event belongs to a run that may go on with the next one; sets the outcome where it is known."""
        command_id, type_name, data = event.get("causationid", ""), event["type"], event["data"]
        self.next_offset = record.offset + 1
        if self.first_offset is None:
            self.first_offset = record.offset
        if type_name == _REJECTED:
            self._reject(record.partition, data["reason"], data["messages"])
        elif type_name == _NO_EFFECT and data.get("firstType") == _REJECTED:
            self._reject(record.partition, data["reason"], [], command_id)
        elif command_id == self.plan.last_id:
            if type_name in (_NO_EFFECT, self.plan.completes_on):
                self.accept(record.partition)
            else:
                return self.plan.completes_on is None
        return False

    def accept(self, partition: int) -> None:
        self._set(Outcome(partition, self.first_offset or 0, self.next_offset))

    def _reject(self, partition: int, reason: str, messages: list[str], rejected_id: str | None = None) -> None:
        self._set(Outcome(partition, self.first_offset or 0, self.next_offset, reason, messages, rejected_id))

    def _set(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class EventFollower:
    """Reads every event once, while somebody waits decodes it, and goes on where it was after any failure."""

    def __init__(self, new_consumer: Callable[[], AIOKafkaConsumer], topic: str, partitions: int, clock: Clock) -> None:
        self._new_consumer = new_consumer
        self._tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._clock = clock
        self._positions: dict[TopicPartition, int] = {}
        self._expected: dict[tuple[str, str], set[Expectation]] = {}
        self._runs: dict[int, dict[Expectation, str]] = {}
        self._ready = asyncio.Event()

    @contextmanager
    def expecting(self, plan: Plan) -> Iterator["asyncio.Future[Outcome]"]:
        """The future outcome of the plan, if its commands are appended within the block, after `ready`."""
        expectation = Expectation(plan, asyncio.get_running_loop().create_future())
        names = [(plan.org_id, command_id) for command_id in plan.command_ids]
        for name in names:
            self._expected.setdefault(name, set()).add(expectation)
        try:
            yield expectation.outcome
        finally:
            expectation.outcome.cancel()
            for name in names:
                self._expected[name].discard(expectation)
                if not self._expected[name]:
                    del self._expected[name]
            for runs in self._runs.values():
                runs.pop(expectation, None)

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    async def ready(self) -> None:
        """Return once every event appended from now on will be seen."""
        await self._ready.wait()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as error:
                _log.warning("the events can not be followed: %s", type(error).__name__, extra={"action": "follow-again"})
                await self._clock.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        consumer = self._new_consumer()
        try:
            await consumer.start()
            consumer.assign(self._tps)
            ends = await consumer.end_offsets([tp for tp in self._tps if tp not in self._positions])
            self._positions |= ends
            for tp, offset in self._positions.items():
                consumer.seek(tp, offset)
            self._ready.set()
            while True:
                fetched = await consumer.getmany(timeout_ms=_POLL_MS)
                for partition in self._runs.keys() - {tp.partition for tp in fetched}:
                    self._end_runs(partition)
                for tp, records in fetched.items():
                    self._read(tp, records, consumer.last_stable_offset(tp))
        finally:
            await consumer.stop()

    def _read(self, tp: TopicPartition, records: "Sequence[ConsumerRecord[bytes | None, bytes | None]]", stable_offset: int | None) -> None:
        self._positions[tp] = records[-1].offset + 1
        if not self._expected:
            return
        runs = self._runs.setdefault(tp.partition, {})
        last_named = ""
        for record in records:
            event = read_event(record.value)
            last_named = event.get("causationid", "")
            for expectation in self._expected.get((event["orgid"], last_named), ()):
                if expectation.take(event, record):
                    runs[expectation] = last_named
        caught_up = stable_offset is None or stable_offset <= self._positions[tp] + 1
        self._end_runs(tp.partition, going_on="" if caught_up else last_named)

    def _end_runs(self, partition: int, going_on: str = "") -> None:
        """Accept what was answered by runs of events, but the run of the command `going_on`."""
        runs = self._runs.get(partition, {})
        for expectation in [expectation for expectation, command_id in runs.items() if command_id != going_on]:
            expectation.accept(partition)
            del runs[expectation]
