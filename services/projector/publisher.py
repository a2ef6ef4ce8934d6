"""Owns what is told to `campaign-state`: the current summary of each campaign in the outbox of the read model."""

from events.topics import CAMPAIGN_STATE
from projections.campaign_state.summary import summary
from projections.store.outbox import Outbox, Unpublished
from services.projector.metrics import ProjectorMetrics
from services.runtime.fail_points import fail_point
from services.runtime.publishing import Unsent

_MOST_SUMMARIES = 200
"""In one transaction; a campaign that changed many times meanwhile is sent once."""
_ENVELOPE_BYTES = 1_024


class ChangedSummaries:
    """`Changes` of campaigns."""

    def __init__(self, outbox: Outbox, metrics: ProjectorMetrics) -> None:
        self._outbox = outbox
        self._metrics = metrics

    async def unsent(self, partition: int, most: int | None = None) -> Unsent[list[Unpublished]] | None:
        entries = await self._outbox.unpublished(partition, min(most or _MOST_SUMMARIES, _MOST_SUMMARIES))
        if not entries:
            return None
        fail_point("projector.before-publish")
        most_bytes = CAMPAIGN_STATE.max_message_bytes - _ENVELOPE_BYTES
        return Unsent([(entry.campaign.id.encode(), summary(entry.campaign, most_bytes)) for entry in entries], entries)

    async def sent(self, unsent: Unsent[list[Unpublished]]) -> None:
        fail_point("projector.after-publish")
        await self.forget(unsent)
        self._metrics.published.inc(len(unsent.entries))

    async def forget(self, unsent: Unsent[list[Unpublished]]) -> None:
        await self._outbox.published(unsent.entries)
