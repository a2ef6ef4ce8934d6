"""Owns the order of what is due: a heap of instants whose entries may outlive their cause."""

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

_SLACK = 1024

DeadlineKind = Literal["campaign", "call"]


class Deadline(NamedTuple):
    """Look at this campaign, or this call of it, once `at` has come; what is due then follows from its state."""

    at: datetime
    kind: DeadlineKind
    campaign_id: str
    call_id: str


@dataclass(slots=True)
class Deadlines:
    """Earliest first. Entries are never taken back: who pops one asks the state whether it still holds."""

    heap: list[Deadline] = field(default_factory=list)
    _overgrown_from: int = _SLACK

    def add(self, at: datetime, campaign_id: str, call_id: str = "") -> None:
        heapq.heappush(self.heap, Deadline(at, "call" if call_id else "campaign", campaign_id, call_id))

    def next_at(self) -> datetime | None:
        return self.heap[0].at if self.heap else None

    def pop_due(self, now: datetime) -> Deadline | None:
        """The earliest entry at or before `now`, taken out; `None` where nothing is due."""
        return heapq.heappop(self.heap) if self.heap and self.heap[0].at <= now else None

    @property
    def is_overgrown(self) -> bool:
        """Whether it has grown so far beyond the live entries it was last built of that the owner should build it anew."""
        return len(self.heap) > self._overgrown_from

    def rebuild(self, deadlines: list[Deadline]) -> None:
        self.heap = deadlines
        heapq.heapify(self.heap)
        self._overgrown_from = 2 * len(deadlines) + _SLACK
