"""Owns the provider's side of the calls: each call as it stands now, and the counts that an outside checker relies on."""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from events.instants import iso
from services.simulator.script import Script

_ENDED_KEPT = 100_000


@dataclass(slots=True)
class SimulatedCall:
    """A call that the network took. `started` is when it was placed by the monotonic clock, `scale` the time scale then."""

    id: str
    script: Script
    created_at: datetime
    started: float
    scale: float
    callback_url: str | None
    metadata: dict[str, Any]
    next_callback: int = 0
    tries: int = 0

    @property
    def org(self) -> str:
        return str(self.metadata.get("orgId", ""))

    def real_time(self, after_seconds: float) -> float:
        """The monotonic time at which so many simulated seconds have passed since the call was placed."""
        return self.started + after_seconds / self.scale

    def instant(self, after_seconds: float) -> str:
        return iso(self.created_at + timedelta(seconds=after_seconds / self.scale))

    def as_of(self, monotonic: float) -> dict[str, Any]:
        """The call as `GET /call/{id}` shows it at this time."""
        reached = [step for step in self.script.steps if self.real_time(step.after_seconds) <= monotonic]
        shown: dict[str, Any] = {
            "id": self.id,
            "type": "outboundPhoneCall",
            "status": reached[-1].status if reached else "queued",
            "createdAt": iso(self.created_at),
            "updatedAt": self.instant(reached[-1].after_seconds) if reached else iso(self.created_at),
            "metadata": self.metadata,
        }
        if any(step.status == "in-progress" for step in reached):
            shown["startedAt"] = self.instant(self.script.picked_up_after_seconds or 0)
        if reached and reached[-1].status == "ended":
            shown |= self.ending()
        return shown

    def ending(self) -> dict[str, Any]:
        """What is known of the call once it has ended."""
        script = self.script
        ending: dict[str, Any] = {"endedReason": script.ended_reason}
        if script.picked_up_after_seconds is not None:
            ending["startedAt"] = self.instant(script.picked_up_after_seconds)
        return ending | {
            "endedAt": self.instant(script.ended_after_seconds),
            "cost": script.cost,
            "analysis": {"summary": script.summary, "successEvaluation": str(script.cost > 0).lower()},
        }


@dataclass(slots=True)
class Concurrency:
    """How many calls are active now, and how many ever were at once."""

    now: int = 0
    most: int = 0

    def up(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def down(self) -> None:
        self.now -= 1

    def shown(self) -> dict[str, int]:
        return {"now": self.now, "max": self.most}


@dataclass(slots=True)
class Calls:
    """All calls that are active and the last 100,000 that ended; the counts of POSTs are kept for the life of the process."""

    posts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By our call id and the attempt."""
    answers: Counter[str] = field(default_factory=Counter)
    callbacks: Counter[str] = field(default_factory=Counter)
    overall: Concurrency = field(default_factory=Concurrency)
    by_org: dict[str, Concurrency] = field(default_factory=dict)
    _by_id: OrderedDict[str, SimulatedCall] = field(default_factory=OrderedDict)
    _by_ours: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def count_post(self, ours: tuple[str, str]) -> int:
        """How many POSTs for this call and attempt have come, this one included."""
        self.posts[ours] += 1
        return self.posts[ours]

    def add(self, ours: tuple[str, str], call: SimulatedCall) -> None:
        self._by_id[call.id] = call
        self._by_ours.setdefault(ours, []).append(call.id)
        self.overall.up()
        self.by_org.setdefault(call.org, Concurrency()).up()

    def end(self, ours: tuple[str, str], call: SimulatedCall) -> None:
        self.overall.down()
        self.by_org[call.org].down()
        self._ended[call.id] = None
        while len(self._ended) > _ENDED_KEPT:
            forgotten, _ = self._ended.popitem(last=False)
            gone = self._by_id.pop(forgotten)
            self._by_ours.pop((str(gone.metadata.get("callId", "")), str(gone.metadata.get("attempt", ""))), None)

    def get(self, call_id: str) -> SimulatedCall | None:
        return self._by_id.get(call_id)

    def find(self, ours: tuple[str, str]) -> list[SimulatedCall]:
        return [self._by_id[call_id] for call_id in self._by_ours.get(ours, ())]

    def stats(self, with_calls: bool) -> dict[str, Any]:
        """`calls`: the number of POSTs by our call id and attempt; `doubledPosts` counts those beyond the first of each."""
        doubled = {ours: count for ours, count in self.posts.items() if count > 1}
        shown: dict[str, Any] = {
            "posts": self.posts.total(),
            "doubledPosts": sum(doubled.values()) - len(doubled),
            "doubledCalls": sorted({call_id for call_id, _ in doubled}),
            "answers": dict(self.answers),
            "callbacks": dict(self.callbacks),
            "concurrent": self.overall.shown(),
            "concurrentByOrg": {org: concurrency.shown() for org, concurrency in self.by_org.items()},
        }
        if with_calls:
            calls: dict[str, dict[str, int]] = {}
            for (call_id, attempt), count in self.posts.items():
                calls.setdefault(call_id, {})[attempt] = count
            shown["calls"] = calls
        return shown
