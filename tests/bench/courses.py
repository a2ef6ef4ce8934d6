"""Owns what becomes of a call in the log: which events it goes through, and how far apart they are."""

from dataclasses import dataclass
from random import Random

Step = tuple[str, int]
"""A kind of `event_templates`, and how many milliseconds it comes after the step before it."""

FREES_ITS_SLOT = frozenset({"ended", "talked", "refused", "given-up"})
MAY_COME_LATE = frozenset({"placed", "ringing", "picked-up", "forwarded"})
"""What a provider's callback, or a dialer's word, tells too late: after what came next to the same call."""

_TALKS = ("customer-ended-call", "assistant-ended-call", "assistant-said-end-call-phrase", "silence-timed-out")


@dataclass(frozen=True, slots=True)
class Course:
    """The steps begin with `queued`; `reason` is why the call ended, `cost` in US dollars what it cost."""

    steps: tuple[Step, ...]
    reason: str
    cost: float


def draw_course(draws: Random) -> Course:
    """Of a hundred calls 45 talk, 15 reach a voicemail, 25 are not answered, 10 are busy, 5 go wrong in five ways."""
    lot = draws.random()
    claim = ("queued", 0), ("claimed", 40 + int(draws.random() * 200))
    placed = *claim, ("placed", 150 + int(draws.random() * 500))
    ringing = *placed, ("ringing", 300 + int(draws.random() * 1_500))
    if lot < 0.60:
        return _picked_up(draws, ringing, lot)
    report = ("analyzed", 1_000 + int(draws.random() * 3_000))
    if lot < 0.85:
        return Course((*ringing, ("ended", 25_000), report), "customer-did-not-answer", 0.0)
    if lot < 0.95:
        return Course((*placed, ("ended", 2_000), report), "customer-busy", 0.0)
    if lot < 0.975:
        return Course((*placed, ("ended", 3_000), report), "twilio-failed-to-connect-call", 0.0)
    if lot < 0.985:
        return Course((*claim, ("refused", 200)), "call.start.error-provider-refused", 0.0)
    if lot < 0.988:
        return Course((*claim, ("unknown", 60_000), ("given-up", 120_000)), "", 0.0)
    return Course((*claim, ("queued", 500), *ringing[1:], ("ended", 20_000), report), "customer-did-not-answer", 0.0)


def _picked_up(draws: Random, ringing: tuple[Step, ...], lot: float) -> Course:
    picked_up = *ringing, ("picked-up", 2_000 + int(draws.random() * 15_000))
    report = ("analyzed", 1_000 + int(draws.random() * 3_000))
    if lot >= 0.45:
        return Course((*picked_up, ("talked", 5_000), report), "voicemail", 0.0125)
    talk = 10_000 + int(draws.expovariate(1 / 45_000))
    cost = round(talk * 0.0000015, 4)
    if lot < 0.02:
        return Course((*picked_up, ("forwarded", talk // 2), ("talked", talk // 2), report), "assistant-forwarded-call", cost)
    return Course((*picked_up, ("talked", talk), report), _TALKS[int(draws.random() * len(_TALKS))], cost)
