"""Owns how the events of the log become the outcome of what somebody waits for."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson

from events.codec import read_event
from events.envelope import EventRecord
from services.api.plans import Plan

_MOST_LOOKED_FOR = 8
"""Ids that are looked for in an event's bytes before it is decoded; where more are waited for, decoding costs less."""
_REJECTED = "CommandRejected.v1"
_NO_EFFECT = "CommandHadNoEffect.v1"


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
    partition: int = 0
    decided: int = 0
    """How many of the plan's commands, from the first on, are known to be decided."""
    _progress: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = {command_id: number for number, command_id in enumerate(self.plan.command_ids)}

    async def until_decided(self, commands: int) -> None:
        """Return once so many of the plan's commands are decided, or its outcome is known."""
        while self.decided < commands and not self.outcome.done():
            self._progress.clear()
            await self._progress.wait()

    def take(self, event: EventRecord, partition: int, offset: int) -> bool:
        """Whether the event belongs to a run that may go on with the next one; sets the outcome where it is known."""
        command_id, type_name, data = event.get("causationid", ""), event["type"], event["data"]
        if event.get("requesthash", self.plan.asked.request_hash) != self.plan.asked.request_hash:
            # another request was sent under this id
            return False
        self.partition, self.next_offset = partition, offset + 1
        if command_id in self._numbers:
            self.decided = max(self.decided, self._numbers[command_id] + 1)
            self._progress.set()
        if self.first_offset is None:
            self.first_offset = offset
        if type_name == _REJECTED:
            self._set(partition, data["reason"], data["messages"])
        elif type_name == _NO_EFFECT and data.get("firstType") == _REJECTED:
            self._set(partition, data["reason"], [], command_id)
        elif command_id == self.plan.last_id:
            if type_name in (_NO_EFFECT, self.plan.completes_on):
                self.accept(partition)
            else:
                return self.plan.completes_on is None
        return False

    def accept(self, partition: int) -> None:
        self._set(partition, None, [])

    def _set(self, partition: int, reason: str | None, messages: list[str], rejected_id: str | None = None) -> None:
        self._progress.set()
        if not self.outcome.done():
            self.outcome.set_result(Outcome(partition, self.first_offset or 0, self.next_offset, reason, messages, rejected_id))


@dataclass(slots=True)
class Expectations:
    """The plans that are waited for; each event of the log is read once, and decoded only while somebody waits."""

    _expected: dict[tuple[str, str], set[Expectation]] = field(default_factory=dict)
    _runs: dict[int, dict[Expectation, str]] = field(default_factory=dict)

    @contextmanager
    def expecting(self, plan: Plan) -> Iterator[Expectation]:
        """What is waited for of the plan, if its commands are appended within the block."""
        expectation = Expectation(plan, asyncio.get_running_loop().create_future())
        names = [(plan.org_id, command_id) for command_id in plan.command_ids]
        for name in names:
            self._expected.setdefault(name, set()).add(expectation)
        try:
            yield expectation
        finally:
            expectation.outcome.cancel()
            for name in names:
                self._expected[name].discard(expectation)
                if not self._expected[name]:
                    del self._expected[name]
            for runs in self._runs.values():
                runs.pop(expectation, None)

    def read(self, partition: int, records: Sequence[tuple[int, bytes | None]], caught_up: bool) -> None:
        """Take the partition's next events, with their offsets; `caught_up` says that no event is known to follow.

        A run of events that name one command ends with an event that does not, or where no event follows: all events of
        a decision become visible at once.
        """
        if not self._expected:
            return
        runs = self._runs.setdefault(partition, {})
        last_named, last_offset = "", records[-1][0] if records else -1
        names = [orjson.dumps(command_id) for _, command_id in self._expected]
        is_worth_a_look = len(names) <= _MOST_LOOKED_FOR
        for offset, value in records:
            if is_worth_a_look and offset != last_offset and value is not None and not any(name in value for name in names):
                continue
            event = read_event(value)
            last_named = event.get("causationid", "")
            for expectation in self._expected.get((event["orgid"], last_named), ()):
                if expectation.take(event, partition, offset):
                    runs[expectation] = last_named
        self._end_runs(partition, "" if caught_up else last_named)

    def pause(self, partitions_with_news: set[int]) -> None:
        """No event came from the other partitions: their runs are over."""
        for partition in self._runs.keys() - partitions_with_news:
            self._end_runs(partition, "")

    def _end_runs(self, partition: int, going_on: str) -> None:
        runs = self._runs.get(partition, {})
        for expectation in [expectation for expectation, command_id in runs.items() if command_id != going_on]:
            expectation.accept(partition)
            del runs[expectation]
