"""Owns the way of a call through the dialer: taken up, claimed, granted, placed at most once, its outcome made durable."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from events.envelope import Command, EventRecord
from projections.dial_task.task import DialTask
from services.dialer.claims import Claim, ClaimBook
from services.dialer.command_log import CommandLog
from services.dialer.decisions import asks_predial, claim_command, dial_outcome, next_step, predial_outcome
from services.dialer.dial_tasks import DialTasks
from services.dialer.lines import Line, Lines
from services.dialer.metrics import DialerMetrics
from services.dialer.predial import Predial, Verdict
from services.dialer.provider import Answer, NotPlaced, PlaceCall, Unknown
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point

_SWEEP_SECONDS = 1.0
_LAST_WORDS_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToClaim:
    """A call that may be claimed, to be placed by `provider`."""

    task: DialTask
    attempt: int
    provider: str


@dataclass(slots=True)
class Dispatcher:
    """One dialer process. `claimant` is drawn when it starts and names this process life on its claims.

    A POST happens only in `_place`, with a claim that was taken out of the book, which gives each out once.
    """

    claimant: str
    claim_valid_seconds: float
    clock: Clock
    commands: CommandLog
    tasks: DialTasks
    predial: Predial
    lines: Lines
    callback_url_of: Callable[[Claim], str]
    new_id: Callable[[], str]
    metrics: DialerMetrics
    claims: ClaimBook = field(default_factory=ClaimBook)
    closing: bool = False
    _asking: int = 0
    _finishing: set[asyncio.Task[None]] = field(default_factory=set)
    _posts: set[asyncio.Task[Answer]] = field(default_factory=set)

    @property
    def held(self) -> int:
        """How many calls are looked after beyond what was said of their `CallQueued`."""
        return len(self.claims) + len(self._finishing)

    @property
    def waiting(self) -> int:
        """How many of those that are considered wait for their provider or for a customer's server."""
        return sum(line.waiting for line in self.lines) + self._asking

    async def consider(self, partition: int, offset: int, call_id: str, attempt: int) -> ToClaim | Command | None:
        """What a `CallQueued` asks to be said: a claim, what makes one needless, or nothing. Only waits, so it may be cancelled."""
        task = await self.tasks.get(partition, offset, call_id)
        if next_step(task, attempt) == "pass":
            self.metrics.passed.inc()
            return None
        line = self.lines.for_task(task)
        await line.admission(task.org_id)
        if asks_predial(task):
            outcome = predial_outcome(self.new_id(), task, attempt, await self._ask(task))
            if outcome is not None:
                return outcome
            if line.is_open():
                await line.admission(task.org_id)
        return ToClaim(task, attempt, line.provider.name)

    async def say(self, considered: ToClaim | Command | None) -> None:
        """Return once it is durable; from then on the record that it was considered of is done."""
        match considered:
            case ToClaim(task, attempt, provider):
                await self._claim(task, attempt, provider)
            case Command():
                await self.commands.append(considered)

    async def _ask(self, task: DialTask) -> Verdict:
        self._asking += 1
        try:
            return await self.predial.ask(task)
        finally:
            self._asking -= 1

    async def _claim(self, task: DialTask, attempt: int, provider: str) -> None:
        # the monotonic clock first: so the claim is too old here before it is there
        expires = self.clock.monotonic() + self.claim_valid_seconds
        valid_until = self.clock.now() + timedelta(seconds=self.claim_valid_seconds)
        claim = Claim(self.new_id(), task, attempt, provider, expires)
        self.claims.remember(claim)
        fail_point("dialer.before-claim-append")
        await self.commands.append(claim_command(claim, self.claimant, valid_until))
        fail_point("dialer.after-claim-append")
        self.metrics.claims.inc()

    def on_claimed(self, record: EventRecord) -> None:
        """Of any `CallClaimed` on the log: a claim of ours is acted upon, now or never; others' are not our business.

        One that stands on the log twice, or behind its own giving back, may be granted after it was given back: it is given back again.
        """
        claim_id = record.get("causationid")
        claim = self.claims.take(claim_id)
        if claim is not None:
            self._start(self._dial(claim))
        elif (again := self.claims.not_placed(claim_id)) is not None:
            self._give_back([again], "the claim was given back before")

    async def _dial(self, claim: Claim) -> None:
        line = self.lines.for_task(claim.task)
        async with line.slots:
            why = await line.posting.turn(lambda: self._hindrance(line, claim))
            answer = NotPlaced(why) if why is not None else await self._place(line, claim)
        if isinstance(answer, NotPlaced):
            self.claims.remember_not_placed(claim)
        self.metrics.outcomes.labels(claim.provider, type(answer).__name__).inc()
        fail_point("dialer.before-outcome-append")
        await self.commands.append(dial_outcome(self.new_id(), claim, answer))
        fail_point("dialer.after-outcome-append")

    def _hindrance(self, line: Line, claim: Claim) -> str | None:
        if self.closing:
            return "the dialer stops"
        if self.clock.monotonic() >= claim.expires:
            return "the claim was granted, or its turn came, too late"
        return "the provider is left alone for a while" if line.is_open() else None

    async def _place(self, line: Line, claim: Claim) -> Answer:
        call = PlaceCall(claim.task, claim.attempt, self.callback_url_of(claim))
        fail_point("dialer.before-post")
        post = asyncio.create_task(line.provider.place(call))
        self._posts.add(post)
        try:
            answer = await post
            fail_point("dialer.after-post")
        except asyncio.CancelledError:
            if not post.cancelled():
                raise
            answer = Unknown("the dialer stopped before the answer came")
        except Exception:
            _log.exception("a provider's adapter failed", extra={"action": "place", "call": call.task.call_id})
            answer = Unknown("the provider's adapter failed")
        finally:
            self._posts.discard(post)
        return line.hear(call.task.call_id, answer)

    async def run(self) -> None:
        """Give back the claims that nobody granted in time; until cancelled."""
        while True:
            await self.clock.sleep(_SWEEP_SECONDS)
            self._give_back(self.claims.take_expired(self.clock.monotonic()), "the claim was not granted in time")

    def _give_back(self, claims: list[Claim], why: str) -> None:
        """Out of the book they are never acted upon; the engine heeds this, in the log behind the claim, where it did grant."""
        for claim in claims:
            self.claims.remember_not_placed(claim)
            self._start(self.commands.append(dial_outcome(self.new_id(), claim, NotPlaced(why))))

    async def close(self, within_seconds: float) -> None:
        """Act upon no further claim and give all back; wait for requests under way, then for every outcome to be durable.

        A request that has no answer within the time is left as unknown. Outcomes that are still not durable two seconds
        later are lost: the engine takes them for unknown at their deadline.
        """
        self.closing = True
        for line in self.lines:
            line.posting.end()
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
