"""Owns what the notifier's reader and deliverer ask of its store; `Intake` and `Outbox` are the ones that keep it in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from events.envelope import EventRecord
from services.notifier.messages import WebhookMessage
from services.notifier.outbox import Delivery, Failed


class EventIntake(Protocol):
    """The half that follows the log. Several processes may share it: a place moves only from where it is."""

    async def place(self, partition: int, now: datetime, window_seconds: float) -> int:
        """The offset to read on from. A partition that is new here begins at 0 and tells only what is younger than the window."""

    async def take_in(
        self, partition: int, first_offset: int, next_offset: int, events: Sequence[EventRecord], now: datetime
    ) -> list[WebhookMessage]:
        """Take in the events from `first_offset` up to `next_offset`; the messages that were put in the outbox.

        Raises `PlaceLostError`, having changed nothing, where the place is not `first_offset`.
        """


class DeliveryOutbox(Protocol):
    """The half that is sent from. Instants are seconds since 1970, UTC."""

    async def lanes(self, partition: int) -> dict[str, float]:
        """When the first message is due for each receiver that has one waiting; of very many those due first, of all orgs alike."""

    async def due(self, partition: int, receiver: str, now: float, limit: int) -> list[Delivery]:
        """The receiver's messages that are due, those first that have waited longest, then in the campaign's order."""

    async def settle(self, taken: Sequence[str], failed: Sequence[Failed]) -> None:
        """Forget what was taken and keep what failed, in one transaction; idempotent."""
