"""Owns what becomes of a simulated call: a pure function of the network, our call id and the attempt, never of timing."""

import random
from dataclasses import dataclass
from typing import Literal

from services.simulator.network import Network

Answer = Literal["placed", "refused", "failed", "dropped"]
Status = Literal["ringing", "in-progress", "forwarding", "ended"]

_RINGING_AFTER_SECONDS = 1.0
_BUSY_AFTER_SECONDS = 3.0
_ENDED_BY_TALK = (
    ("customer-ended-call", 0.5),
    ("assistant-ended-call", 0.3),
    ("assistant-said-end-call-phrase", 0.12),
    ("silence-timed-out", 0.05),
    ("exceeded-max-duration", 0.03),
)
_FAILURES = (
    "twilio-failed-to-connect-call",
    "call.start.error-get-transport",
    "call.in-progress.error-vapifault-transport-never-connected",
)
_COST_PER_SECOND = 0.0015


@dataclass(frozen=True, slots=True)
class Step:
    """The call gets this status this many simulated seconds after it was placed."""

    after_seconds: float
    status: Status


@dataclass(frozen=True, slots=True)
class Callback:
    """What is sent this many simulated seconds after the call was placed: a status update, or the report (`status` is `None`)."""

    after_seconds: float
    status: Status | None
    misbehaves: str | None = None
    """`late`, `doubled` or `reordered` where it does."""


@dataclass(frozen=True, slots=True)
class Script:
    """The whole of a call. `steps` and `callbacks` are in the order of their times, `steps` end with `ended`."""

    answer: Answer
    answer_real_seconds: float
    steps: tuple[Step, ...]
    callbacks: tuple[Callback, ...]
    lost_callbacks: int
    ended_reason: str
    cost: float
    summary: str

    @property
    def picked_up_after_seconds(self) -> float | None:
        return next((step.after_seconds for step in self.steps if step.status == "in-progress"), None)

    @property
    def ended_after_seconds(self) -> float:
        return self.steps[-1].after_seconds


def script_of(network: Network, call_id: str, attempt: int) -> Script:
    """Every draw is made in the same order whatever the rates are, so that a changed rate changes only what it is about."""
    draws = random.Random(f"{network.seed}|{call_id}|{attempt}")  # noqa: S311 - repeatable on purpose
    answer = _answer(network, draws)
    answer_seconds = draws.uniform(network.answer_real_seconds_min, network.answer_real_seconds_max)
    steps, ended_reason = _course(network, draws)
    callbacks, lost = _callbacks(network, draws, steps)
    talked = steps[-1].after_seconds - next((s.after_seconds for s in steps if s.status == "in-progress"), steps[-1].after_seconds)
    summary = f"The call ended after {talked:.0f} seconds of talk: {ended_reason}."
    return Script(answer, answer_seconds, steps, callbacks, lost, ended_reason, round(talked * _COST_PER_SECOND, 4), summary)


def _answer(network: Network, draws: random.Random) -> Answer:
    refused, failed, dropped = (draws.random() for _ in range(3))
    if refused < network.refuse_rate:
        return "refused"
    if failed < network.fail_rate:
        return "failed"
    return "dropped" if dropped < network.drop_answer_rate else "placed"


def _course(network: Network, draws: random.Random) -> tuple[tuple[Step, ...], str]:
    outcome = draws.random() * sum(network.outcome_shares())
    ring = draws.uniform(network.ring_seconds_min, network.ring_seconds_max)
    talk = draws.uniform(network.talk_seconds_min, network.talk_seconds_max)
    forwards = draws.random() < network.forward_rate
    reason, failure = draws.random(), draws.choice(_FAILURES)
    answered, voicemail, busy, no_answer, _ = network.outcome_shares()
    ringing = Step(min(_RINGING_AFTER_SECONDS, ring), "ringing")
    if outcome < answered:
        picked_up = (ringing, Step(ring, "in-progress"))
        if forwards:
            return (*picked_up, Step(ring + talk / 2, "forwarding"), Step(ring + talk, "ended")), "assistant-forwarded-call"
        return (*picked_up, Step(ring + talk, "ended")), _ended_by_talk(reason)
    if outcome < answered + voicemail:
        return (ringing, Step(ring, "in-progress"), Step(ring + talk / 4, "ended")), "voicemail"
    if outcome < answered + voicemail + busy:
        return (Step(_BUSY_AFTER_SECONDS, "ended"),), "customer-busy"
    if outcome < answered + voicemail + busy + no_answer:
        seconds = network.no_answer_seconds
        return (Step(min(_RINGING_AFTER_SECONDS, seconds), "ringing"), Step(seconds, "ended")), "customer-did-not-answer"
    return (Step(_BUSY_AFTER_SECONDS, "ended"),), failure


def _ended_by_talk(draw: float) -> str:
    for reason, share in _ENDED_BY_TALK:
        if draw < share:
            return reason
        draw -= share
    return _ENDED_BY_TALK[0][0]


def _callbacks(network: Network, draws: random.Random, steps: tuple[Step, ...]) -> tuple[tuple[Callback, ...], int]:
    planned = [Callback(step.after_seconds, step.status) for step in steps] if network.status_updates else []
    planned.append(Callback(steps[-1].after_seconds + network.report_delay_seconds, None))
    fates = [tuple(draws.random() for _ in range(5)) for _ in planned]
    for i, (_, _, _, reorder, _) in enumerate(fates[:-1]):
        if reorder < network.reorder_rate:
            first, second = planned[i], planned[i + 1]
            planned[i] = Callback(first.after_seconds, second.status, "reordered")
            planned[i + 1] = Callback(second.after_seconds, first.status, "reordered")
    sent: list[Callback] = []
    lost = 0
    for callback, (lose, late, double, _, lateness) in zip(planned, fates, strict=True):
        if lose < network.lose_rate:
            lost += 1
            continue
        if late < network.late_rate:
            callback = Callback(callback.after_seconds + lateness * network.late_seconds_max, callback.status, "late")
        sent.append(callback)
        if double < network.double_rate:
            sent.append(Callback(callback.after_seconds + lateness, callback.status, "doubled"))
    return tuple(sorted(sent, key=lambda callback: callback.after_seconds)), lost
