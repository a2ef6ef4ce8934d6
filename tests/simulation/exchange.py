"""Owns the simulated phone network: what it was asked, what it took, how its calls go on, and what it says of them to the API."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from services.dialer.provider import Answer, FoundCall, LookupFailedError, NotPlaced, PlaceCall, Placed, Refused, Unknown
from tests.simulation.loop import Life, settle
from tests.simulation.network import Network

NAME = "sim"
PLACE = "provider"
REQUEST_SECONDS = 5.0
LONGEST_CALL_SECONDS = 25.0


@dataclass(slots=True)
class TakenCall:
    """A call that is or was under way."""

    id: str
    org_id: str
    campaign_id: str
    call_id: str
    attempt: int
    status: str = "queued"
    reason: str | None = None


@dataclass(slots=True)
class Exchange:
    """`says` gives the API a report; `asked`, `taken` and `over` tell the checks. `down` answers no request."""

    network: Network
    random: Random
    says: Callable[[TakenCall, dict[str, Any]], None]
    asked: Callable[[PlaceCall, str], None]
    taken: Callable[[TakenCall], None]
    over: Callable[[TakenCall], None]
    down: bool = False
    unsteady: float = 0.1
    """The share of requests that it does not take."""
    mute: float = 0.05
    """The share of calls that it takes and never says so."""
    silent: float = 0.0
    """The share of callbacks that are never made."""
    calls: dict[tuple[str, int], TakenCall] = field(default_factory=dict)

    def arrive(self, call: PlaceCall, claim_id: str, answered: "asyncio.Future[Answer]") -> None:
        """A request; its sender may be gone by now."""
        self.asked(call, claim_id)
        if self.down:
            if self.random.random() < 0.5:
                self._answer(answered, NotPlaced("the provider was not reached"))
            return
        draw = self.random.random()
        if draw < self.unsteady:
            self._answer(answered, self._failure())
            return
        taken = self._take(call)
        if not self.network.loses() and self.random.random() > self.mute:
            self._answer(answered, Placed(taken.id))

    def _failure(self) -> Answer:
        failures: tuple[Answer, ...] = (
            Refused("call.start.error-provider-refused", "no"),
            NotPlaced("the provider answered 429", too_many=True, retry_after_seconds=1.0),
            NotPlaced("the provider was not reached"),
            NotPlaced("the provider answered 404", doubtful=True),
            Unknown("the provider answered 502"),
        )
        return self.random.choice(failures)

    def _answer(self, answered: "asyncio.Future[Answer]", answer: Answer) -> None:
        self.network.loop.later(self.network.delay(), settle, answered, answer)

    def _take(self, call: PlaceCall) -> TakenCall:
        task, number = call.task, len(self.calls)
        taken = TakenCall(f"p-{number}", task.org_id, task.campaign_id, task.call_id, call.attempt)
        self.taken(taken)
        self.calls.setdefault((task.call_id, call.attempt), taken)
        self._goes_on(taken)
        return taken

    def _goes_on(self, call: TakenCall) -> None:
        draw, later = self.random.random, self.network.loop.later
        at = 0.1 + draw() * (2 if draw() < 0.7 else 12)
        later(at, self._moves, call, "ringing")
        if draw() < 0.7:
            at += draw() * 4
            later(at, self._moves, call, "in-progress")
            if draw() < 0.15:
                later(at + 0.2, self._moves, call, "forwarding")
            call.reason = "voicemail" if draw() < 0.2 else "customer-ended-call"
        else:
            call.reason = "customer-busy"
        later(min(at + 0.3 + draw() * 8, LONGEST_CALL_SECONDS), self._ends, call)

    def _moves(self, call: TakenCall, status: str) -> None:
        call.status = status
        self._say(call, {"status": status})

    def _ends(self, call: TakenCall) -> None:
        call.status = "ended"
        self.over(call)
        is_final = self.random.random() < 0.5
        known = {"status": "ended", "endedReason": call.reason}
        self._say(call, {**known, "final": is_final, **({"cost": 0.25, "analysis": {"of": call.org_id}} if is_final else {})})
        if not is_final:
            later = 0.5 + self.random.random() * 5
            self.network.loop.later(later, self._say, call, {**known, "final": True, "cost": 0.125, "analysis": {"of": call.org_id}})

    def _say(self, call: TakenCall, report: dict[str, Any]) -> None:
        if self.random.random() < self.silent:
            return
        for _ in range(2 if self.random.random() < 0.1 else 1):
            late = self.random.random() * 6 if self.random.random() < 0.1 else 0.0
            self.network.loop.later(self.network.delay() + late, self.says, call, report)

    def find(self, call_id: str, attempt: int) -> FoundCall | None:
        call = self.calls.get((call_id, attempt))
        if call is None:
            return None
        report = {"endedReason": call.reason} if call.status == "ended" else {}
        return FoundCall(call.id, call.status, report)  # type: ignore[arg-type]


class SimulatedProvider:
    """A `CallProvider` as one dialer process life reaches it."""

    name = NAME

    def __init__(self, exchange: Exchange, life: Life, *, can_find: bool) -> None:
        self.can_find = can_find
        self._exchange = exchange
        self._life = life

    async def place(self, call: PlaceCall) -> Answer:
        if not self._life.alive:
            raise asyncio.CancelledError
        network = self._exchange.network
        if network.is_cut(self._life.name, PLACE):
            await asyncio.sleep(1.0)
            return NotPlaced("the provider was not reached")
        answered: asyncio.Future[Answer] = network.loop.create_future()
        network.loop.later(network.delay(), self._exchange.arrive, call, call.callback_url, answered)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await answered
        except TimeoutError:
            return Unknown("no answer came")

    async def find(self, call_id: str, attempt: int) -> FoundCall | None:
        network = self._exchange.network
        await asyncio.sleep(network.delay())
        if self._exchange.down or network.is_cut(self._life.name, PLACE) or network.loses():
            raise LookupFailedError("no answer came")
        return self._exchange.find(call_id, attempt)
