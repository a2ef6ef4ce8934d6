"""Owns the notifier's store in memory, for simulations and tests: an `EventIntake` and a `DeliveryOutbox` in one."""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from events.envelope import EventRecord
from events.instants import iso
from services.notifier.intake import PlaceLostError, org_of, receiver_of
from services.notifier.messages import Known, KnownCall, KnownCampaign, WebhookMessage, message_of
from services.notifier.outbox import MOST_LANES, Delivery, Failed


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message of the outbox; `dead`: given up."""

    partition: int
    receiver: str
    message: WebhookMessage
    enqueued_at: float
    next_at: float
    failures: int = 0
    dead: bool = False


class MemoryNotifierStore:
    """No method waits for anything, so each is one transaction."""

    def __init__(self) -> None:
        self.outbox: dict[str, Waiting] = {}
        self._places: dict[int, tuple[int, str]] = {}
        self._campaigns: dict[str, KnownCampaign] = {}
        self._calls: dict[str, KnownCall] = {}

    async def place(self, partition: int, now: datetime, window_seconds: float) -> int:
        tell_from = iso(now - timedelta(seconds=window_seconds))
        return self._places.setdefault(partition, (0, tell_from))[0]

    async def take_in(
        self, partition: int, first_offset: int, next_offset: int, events: Sequence[EventRecord], now: datetime
    ) -> list[WebhookMessage]:
        place, tell_from = self._places.get(partition, (None, ""))
        if place != first_offset:
            raise PlaceLostError(f"partition {partition} is not at offset {first_offset}")
        known = self._known(events)
        messages = [(message_of(known, event), event["time"] >= tell_from) for event in events]
        told = [message for message, is_told in messages if message is not None and is_told]
        self._places[partition] = (next_offset, tell_from)
        self._campaigns |= {id: known.campaigns[id] for id in known.changed_campaigns}
        for call_id in known.changed_calls:
            self._calls.pop(call_id, None)
            if call_id in known.calls:
                self._calls[call_id] = known.calls[call_id]
        at = now.timestamp()
        for message in told:
            receiver = receiver_of(message.org_id, self._server_of(message)["url"])
            self.outbox[message.id] = Waiting(partition, receiver, message, at, at)
        return told

    def _known(self, events: Sequence[EventRecord]) -> Known:
        """On copies, so that a failure leaves no trace."""
        known = Known()
        for event in events:
            campaign, call = self._campaigns.get(event.get("subject", "")), self._calls.get(event.get("callid", ""))
            if campaign is not None:
                known.campaigns.setdefault(campaign.id, copy(campaign))
            if call is not None:
                known.calls.setdefault(call.id, copy(call))
        return known

    def _server_of(self, message: WebhookMessage) -> dict[str, Any]:
        return self._campaigns[message.campaign_id].server

    def next_offset(self, partition: int) -> int:
        """Up to where the log was taken in."""
        return self._places.get(partition, (0, ""))[0]

    async def lanes(self, partition: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for waiting in self.outbox.values():
            if waiting.partition == partition and not waiting.dead:
                found[waiting.receiver] = min(waiting.next_at, found.get(waiting.receiver, waiting.next_at))
        places: Counter[str] = Counter()
        ranked = []
        for due_at, receiver in sorted((due_at, receiver) for receiver, due_at in found.items()):
            places[org_of(receiver)] += 1
            ranked.append((places[org_of(receiver)], due_at, receiver))
        return {receiver: due_at for _, due_at, receiver in sorted(ranked)[:MOST_LANES]}

    async def due(self, partition: int, receiver: str, now: float, limit: int) -> list[Delivery]:
        lane = [w for w in self.outbox.values() if (w.partition, w.receiver, w.dead) == (partition, receiver, False) and w.next_at <= now]
        return [self._delivery(w) for w in sorted(lane, key=lambda w: (w.next_at, w.message.sequence))[:limit]]

    def _delivery(self, waiting: Waiting) -> Delivery:
        message = waiting.message
        return Delivery(
            id=message.id,
            org_id=message.org_id,
            campaign_id=message.campaign_id,
            sequence=message.sequence,
            name=message.name,
            body=message.body,
            server=self._server_of(message),
            failures=waiting.failures,
            enqueued_at=waiting.enqueued_at,
        )

    async def settle(self, taken: Sequence[str], failed: Sequence[Failed]) -> None:
        for message_id in taken:
            self.outbox.pop(message_id, None)
        for failure in failed:
            waiting = self.outbox.get(failure.id)
            if waiting is not None:
                next_at = failure.at if failure.next_at is None else failure.next_at
                self.outbox[failure.id] = replace(waiting, failures=failure.failures, next_at=next_at, dead=failure.next_at is None)
