"""Owns the way of a call through the dialer: taken up, claimed, granted, placed at most once, its outcome made durable."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from events.envelope import EventRecord
from projections.dial_task.task import DialTask
from services.dialer.circuit import Circuit
from services.dialer.claims import Claim, ClaimBook
from services.dialer.command_log import CommandLog
from services.dialer.decisions import asks_predial, claim_command, dial_outcome, next_step, predial_outcome
from services.dialer.dial_tasks import DialTasks
from services.dialer.metrics import DialerMetrics
from services.dialer.predial import Predial
from services.dialer.provider import Answer, CallProvider, NotPlaced, PlaceCall, Unknown
from services.runtime.clock import Clock

_SWEEP_SECONDS = 1.0
_LAST_WORDS_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Spans are in seconds."""

    claim_valid_seconds: float
    max_in_flight: int


@dataclass(slots=True)
class Dispatcher:
    """One dialer process. `claimant` is drawn when it starts and names this process life on its claims.

    A POST happens only in `_place`, with a claim that was taken out of the book, which gives each out once.
    """

    claimant: str
    limits: Limits
    clock: Clock
    commands: CommandLog
    tasks: DialTasks
    predial: Predial
    provider: CallProvider
    callback_url_of: Callable[[DialTask, int], str]
    new_id: Callable[[], str]
    metrics: DialerMetrics
    claims: ClaimBook = field(default_factory=ClaimBook)
    circuit: Circuit = field(default_factory=Circuit)
    closing: bool = False
    _finishing: set[asyncio.Task[None]] = field(default_factory=set)
    _posts: set[asyncio.Task[Answer]] = field(default_factory=set)
    _posting: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._posting = asyncio.Semaphore(self.limits.max_in_flight)

    @property
    def held(self) -> int:
        """How many calls are looked after beyond their `take_up`."""
        return len(self.claims) + len(self._finishing)

    async def take_up(self, partition: int, offset: int, call_id: str, attempt: int) -> None:
        """Of a `CallQueued`: returns once a claim, or what makes one needless, is durable; from then on its record is done."""
        task = await self.tasks.get(partition, offset, call_id)
        if next_step(task, attempt) == "pass":
            self.metrics.passed.inc()
            return
        await self._admission()
        if asks_predial(task):
            outcome = predial_outcome(self.new_id(), task, attempt, await self.predial.ask(task))
            if outcome is not None:
                await self.commands.append(outcome)
                return
            if self.circuit.is_open(self.clock.monotonic()):
                await self._admission()
        await self._claim(task, attempt)

    async def _admission(self) -> None:
        while (wait_seconds := self.circuit.admit(self.clock.monotonic())) > 0:
            await self.clock.sleep(wait_seconds)

    async def _claim(self, task: DialTask, attempt: int) -> None:
        # the monotonic clock first: so the claim is too old here before it is there
        expires = self.clock.monotonic() + self.limits.claim_valid_seconds
        valid_until = self.clock.now() + timedelta(seconds=self.limits.claim_valid_seconds)
        claim = Claim(self.new_id(), task, attempt, expires)
        self.claims.remember(claim)
        await self.commands.append(claim_command(claim, self.claimant, valid_until))
        self.metrics.claims.inc()

    def on_claimed(self, record: EventRecord) -> None:
        """Of any `CallClaimed` on the log: a claim of ours is acted upon, now or never; others' are not our business."""
        claim = self.claims.take(record.get("causationid"))
        if claim is not None:
            self._start(self._dial(claim))

    async def _dial(self, claim: Claim) -> None:
        async with self._posting:
            answer = await self._answer(claim)
        self.metrics.outcomes.labels(type(answer).__name__).inc()
        await self.commands.append(dial_outcome(self.new_id(), claim, self.provider.name, answer))

    async def _answer(self, claim: Claim) -> Answer:
        now = self.clock.monotonic()
        if self.closing:
            return NotPlaced("the dialer stops")
        if now >= claim.expires:
            return NotPlaced("the claim was granted too late")
        if self.circuit.is_open(now):
            return NotPlaced("the provider is left alone for a while")
        return await self._place(PlaceCall(claim.task, claim.attempt, self.callback_url_of(claim.task, claim.attempt)))

    async def _place(self, call: PlaceCall) -> Answer:
        post = asyncio.create_task(self.provider.place(call))
        self._posts.add(post)
        try:
            answer = await post
        except asyncio.CancelledError:
            if not post.cancelled():
                raise
            answer = Unknown("the dialer stopped before the answer came")
        except Exception:
            _log.exception("a provider's adapter failed", extra={"action": "place", "call": call.task.call_id})
            answer = Unknown("the provider's adapter failed")
        finally:
            self._posts.discard(post)
        self._learn(answer)
        return answer

    def _learn(self, answer: Answer) -> None:
        match answer:
            case NotPlaced():
                self.circuit.not_reached(self.clock.monotonic())
            case Unknown():
                self.circuit.left_unknown(self.clock.monotonic())
            case _:
                self.circuit.answered()

    async def run(self) -> None:
        """Give back the claims that nobody granted in time; until cancelled."""
        while True:
            await self.clock.sleep(_SWEEP_SECONDS)
            self._give_back(self.claims.take_expired(self.clock.monotonic()), "the claim was not granted in time")

    def _give_back(self, claims: list[Claim], why: str) -> None:
        """Out of the book they are never acted upon; the engine heeds this, in the log behind the claim, where it did grant."""
        for claim in claims:
            self._start(self.commands.append(dial_outcome(self.new_id(), claim, self.provider.name, NotPlaced(why))))

    async def close(self, within_seconds: float) -> None:
        """Act upon no further claim and give all back; wait for requests under way, then for every outcome to be durable.

        A request that has no answer within the time is left as unknown. Outcomes that are still not durable two seconds
        later are lost: the engine takes them for unknown at their deadline.
        """
        self.closing = True
        self._give_back(self.claims.take_all(), "the dialer stops")
        if self._posts:
            await asyncio.wait(self._posts, timeout=within_seconds)
        for post in self._posts:
            post.cancel()
        if self._finishing:
            _, late = await asyncio.wait(self._finishing, timeout=_LAST_WORDS_SECONDS)
            for task in late:
                task.cancel()
            if late:
                _log.error("outcomes are lost", extra={"action": "stop", "count": len(late)})

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._finishing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an outcome could not be said", exc_info=error, extra={"action": "outcome"})
