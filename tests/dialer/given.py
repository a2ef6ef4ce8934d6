"""Owns the words of the dialer's tests: a call to be dialed, and what is outside of the dialer, in memory."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast
from uuid import UUID

from prometheus_client import CollectorRegistry

from events.codec import decode_command, encode_command
from events.commands import DialOutcome
from events.envelope import Command, EventRecord
from projections.dial_task.task import DialTask
from services.dialer.dispatcher import Dispatcher
from services.dialer.lines import Lines, new_line
from services.dialer.metrics import DialerMetrics
from services.dialer.predial import Eligible, Verdict
from services.dialer.provider import Answer, FoundCall, PlaceCall, Placed, Unknown
from tests.support.clock import ManualClock

ORG = "acme"
CAMPAIGN = str(UUID(int=1))
CLAIMANT = "claimant-1"
NOW = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)


def call_id(number: int = 0) -> str:
    return str(UUID(int=1_000 + number))


def task(number: int = 0, **changes: Any) -> DialTask:
    """A call that was queued and waits to be dialed."""
    plain = DialTask(
        call_id=call_id(number),
        campaign_id=CAMPAIGN,
        org_id=ORG,
        position=number,
        customer={"number": f"+1555{number:07d}"},
        phone_number_id="phone-1",
        target_field="assistantId",
        target_id="assistant-1",
        assistant_overrides=None,
        squad_overrides=None,
        server=None,
        predial_plan=None,
        call_status="queued",
        attempt=1,
        claimed=False,
        campaign_status="in-progress",
        paused=False,
        deleted=False,
        created_at=NOW,
    )
    return replace(plain, **changes)


class CommandsInMemory:
    """A `CommandLog` that can be held up."""

    def __init__(self) -> None:
        self.written: list[Command] = []
        self.works = asyncio.Event()
        self.works.set()

    async def append(self, command: Command) -> None:
        await self.works.wait()
        self.written.append(decode_command(encode_command(command)))

    def of(self, type_name: str) -> list[Command]:
        return [command for command in self.written if command.data.type_name == type_name]

    def outcomes(self) -> list[DialOutcome]:
        return [cast(DialOutcome, command.data) for command in self.of(DialOutcome.type_name)]


class TasksInMemory:
    """`DialTasks` of a read model that has passed everything."""

    def __init__(self, *tasks: DialTask) -> None:
        self.by_id = {task.call_id: task for task in tasks}

    async def get(self, partition: int, offset: int, call_id: str) -> DialTask:
        return self.by_id[call_id]


class PredialByHand:
    """Gives the verdict that it holds."""

    def __init__(self) -> None:
        self.verdict: Verdict = Eligible()
        self.asked: list[str] = []

    async def ask(self, task: DialTask) -> Verdict:
        self.asked.append(task.call_id)
        return self.verdict


class ProviderByHand:
    """A `CallProvider` that answers what it holds, as soon as it may."""

    can_find = True

    def __init__(self, name: str = "by-hand") -> None:
        self.name = name
        self.posts: list[PlaceCall] = []
        self.has: Counter[str] = Counter()
        """How often it took each call, whether its answer arrived or not."""
        self.answer: Answer | Exception = Placed("p-1")
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.found: dict[tuple[str, int], list[FoundCall | Exception | None]] = {}

    async def place(self, call: PlaceCall) -> Answer:
        self.posts.append(call)
        answer = self.answer
        self.has[call.task.call_id] += isinstance(answer, Placed | Unknown)
        await self.may_answer.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def find(self, call_id: str, attempt: int) -> FoundCall | None:
        answers = self.found.get((call_id, attempt), [])
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


def no_jitter() -> float:
    return 0.0


class Given:
    """A dispatcher with all that is outside of it in hand."""

    def __init__(
        self, *tasks: DialTask, max_in_flight: int = 10, calls_per_second: float | None = None, before: "Given | None" = None
    ) -> None:
        """`before`: the process life that this one follows, in the same world but with a memory of its own."""
        self.clock: ManualClock = before.clock if before else ManualClock(NOW)
        self.commands: CommandsInMemory = before.commands if before else CommandsInMemory()
        self.predial: PredialByHand = before.predial if before else PredialByHand()
        self.provider: ProviderByHand = before.provider if before else ProviderByHand()
        self.numbers: Iterator[int] = before.numbers if before else count(1)
        self.line = new_line(self.provider, self.clock, no_jitter, max_in_flight, calls_per_second)
        self.dispatcher = Dispatcher(
            claimant=CLAIMANT,
            claim_valid_seconds=30,
            clock=self.clock,
            commands=self.commands,
            tasks=TasksInMemory(*tasks),
            predial=self.predial,
            lines=Lines.of_one(self.line),
            callback_url_of=lambda claim: f"http://api/{claim.task.call_id}/{claim.attempt}",
            new_id=lambda: f"id-{next(self.numbers)}",
            metrics=DialerMetrics(CollectorRegistry()),
        )

    async def queued(self, number: int = 0, attempt: int = 1) -> None:
        """A `CallQueued` is read and taken up."""
        await self.dispatcher.say(await self.dispatcher.consider(0, 0, call_id(number), attempt))

    def claims(self) -> list[Command]:
        return self.commands.of("ClaimCall.v1")

    async def granted(self, claim_id: str) -> None:
        """A `CallClaimed` of this claim is read."""
        self.dispatcher.on_claimed(claimed(claim_id))
        await settle()


def claimed(claim_id: str) -> EventRecord:
    return {
        "specversion": "1.0",
        "id": f"event-of-{claim_id}",
        "source": "/ringfold/engine",
        "type": "CallClaimed.v1",
        "orgid": ORG,
        "time": "2030-01-01T09:00:00.000Z",
        "causationid": claim_id,
        "data": {"attempt": 1},
    }


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def begun(work: Coroutine[Any, Any, Any]) -> "Iterator[asyncio.Task[Any]]":
    """The work, under way until the block ends."""
    running = asyncio.create_task(work)
    try:
        yield running
    finally:
        running.cancel()
