"""Owns the answer where the read model is away: the one campaign folded from the log itself (contract, "Repeats by the SDKs")."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from events.codec import read_event
from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CampaignRow
from projections.queries.views import CallView, Rejection
from projections.reading import read_events
from services.api.event_log import EventLog


@dataclass(frozen=True, slots=True)
class FoldedCampaign:
    """A campaign and all its calls, in the order of positions, as they stood at one offset of the log."""

    row: CampaignRow
    calls: Sequence[CallView]


class LogAnswers:
    """Folds one campaign from a partition of the log; the whole campaign is in memory, so only a few at a time."""

    def __init__(self, log: EventLog, at_once: int = 2) -> None:
        self._log = log
        self._room = asyncio.Semaphore(at_once)

    async def campaign(self, partition: int, campaign_id: str, first_offset: int, next_offset: int) -> FoldedCampaign | None:
        """The campaign as of `next_offset`, where its first event is at `first_offset` or later; raises `FoldError` where it is before.

        Raises `LogAwayError` too.
        """
        progress = Progress(partition, {}, {})
        name = campaign_id.encode()
        async with self._room:
            async for value in self._log.between(partition, first_offset, next_offset):
                if name in value:
                    (event,) = read_events([value])
                    if event.subject == campaign_id:
                        progress.fold(event)
        progress.settle()
        row = progress.campaigns.get(campaign_id)
        return None if row is None else FoldedCampaign(row, _views(progress))

    async def rejection(self, partition: int, org_id: str, command_id: str, next_offset: int) -> Rejection | None:
        """What the command was told when it was rejected first, looked for from the log's beginning."""
        name = command_id.encode()
        async with self._room:
            async for value in self._log.between(partition, 0, next_offset):
                if name in value:
                    event = read_event(value)
                    if (event["orgid"], event.get("causationid"), event["type"]) == (org_id, command_id, "CommandRejected.v1"):
                        return Rejection(event["data"]["reason"], event["data"]["messages"])
        return None


def _views(progress: Progress) -> list[CallView]:
    views = []
    for call_id, contact in progress.contacts.items():
        call = progress.calls[call_id]
        values = {name: getattr(contact, name) if name in contact._fields else getattr(call, name) for name in CallView._fields}
        views.append(CallView(**values))
    return sorted(views, key=lambda view: view.position)
