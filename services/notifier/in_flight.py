"""Owns which messages are under way, and how many more may be: in all, of one org, to one receiver; whose turn it is when one may."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.notifier.intake import org_of

_MOST_FAILING = 10_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many requests run at once, in all, of one org and to one receiver; for how long a message is tried."""

    in_flight: int
    in_flight_per_org: int
    in_flight_per_receiver: int
    window_seconds: float


@dataclass(slots=True)
class InFlight:
    """A message is held from its start until its result is in the outbox."""

    bounds: Bounds
    _held: dict[str, str] = field(default_factory=dict)
    """The receiver of each message."""
    _busy: Counter[str] = field(default_factory=Counter)
    """How many of them each receiver has."""
    _busy_orgs: Counter[str] = field(default_factory=Counter)
    _failing: dict[str, None] = field(default_factory=dict)
    """Receivers that did not take the last message, the one that failed last at the end: each gets one message at a time."""

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._held

    def busy(self, receiver: str) -> int:
        """How many are under way to it."""
        return self._busy[receiver]

    def room(self, receiver: str) -> int:
        """How many more it may get now."""
        most = 1 if receiver in self._failing else self.bounds.in_flight_per_receiver
        of_org = self.bounds.in_flight_per_org - self._busy_orgs[org_of(receiver)]
        return max(0, min(most - self._busy[receiver], of_org, self.bounds.in_flight - len(self._held)))

    def hold(self, message_id: str, receiver: str) -> None:
        self._held[message_id] = receiver
        self._busy[receiver] += 1
        self._busy_orgs[org_of(receiver)] += 1

    def release(self, message_id: str) -> None:
        receiver = self._held.pop(message_id)
        for busy, who in ((self._busy, receiver), (self._busy_orgs, org_of(receiver))):
            busy[who] -= 1
            if not busy[who]:
                del busy[who]

    def took(self, receiver: str) -> None:
        """It gets several messages at a time from here on."""
        self._failing.pop(receiver, None)

    def failed(self, receiver: str) -> None:
        """Of very many the one that failed longest ago is forgotten: it gets several messages at a time until one fails again."""
        self._failing.pop(receiver, None)
        self._failing[receiver] = None
        if len(self._failing) > _MOST_FAILING:
            del self._failing[next(iter(self._failing))]


@dataclass(frozen=True, slots=True)
class Lane:
    """The messages of a partition that wait for one receiver."""

    partition: int
    receiver: str


@dataclass(slots=True)
class Turns:
    """Orgs in turn, and the receivers of each org in turn, so that a place that is free does not go back to who had it."""

    _served: dict[str, int] = field(default_factory=dict)
    """When each receiver and each org had its last turn, counted in turns; of those that still wait."""
    _turn: int = 0

    def queues(self, lanes: Iterable[Lane]) -> dict[str, deque[Lane]]:
        """The lanes of each org. First come who had no turn while they waited, as given, then whose last turn is longest ago."""
        queues: dict[str, deque[Lane]] = {}
        waiting: dict[str, int] = {}
        for lane in sorted(lanes, key=lambda lane: self._served.get(lane.receiver, 0)):
            org_id = org_of(lane.receiver)
            queues.setdefault(org_id, deque()).append(lane)
            waiting |= {who: self._served[who] for who in (org_id, lane.receiver) if who in self._served}
        self._served = waiting
        return {org_id: queues[org_id] for org_id in sorted(queues, key=lambda org_id: waiting.get(org_id, 0))}

    def served(self, lane: Lane) -> None:
        self._turn += 1
        self._served[lane.receiver] = self._served[org_of(lane.receiver)] = self._turn
