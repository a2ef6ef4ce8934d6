"""Owns the rows that the next batch of a partition most likely needs, kept in memory between batches."""

from dataclasses import dataclass, field
from itertools import chain

from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CallRow, CampaignRow

_MOST_CALLS = 25_000
_MOST_PENDING = 20_000
_MOST_CAMPAIGNS = 1_000
_LARGEST_SPEC = 4_096
"""In characters. A campaign with a larger one is read again for each batch: a thousand of them would fill the memory."""


@dataclass(slots=True)
class HotRows:
    """Rows of one partition as they are in the database at `next_offset` of that generation of the tables.

    Every write moves the stored offset, and every rebuild the generation, so no other holds them.

    A fold changes the rows in place. So whoever folds a batch takes them out of where they are kept, and puts them back only
    when the batch is committed.
    """

    next_offset: int
    generation: str | None
    campaigns: dict[str, CampaignRow] = field(default_factory=dict)
    calls: dict[str, CallRow] = field(default_factory=dict)
    _read: list[str] = field(default_factory=list)

    def read(self, calls: dict[str, CallRow]) -> None:
        """Add what was read of the database."""
        self.calls |= calls
        self._read += calls

    def keep(self, progress: Progress) -> None:
        """Forget what is hardly needed again: campaigns and calls that are over, and pending ones beyond the first, which begin first."""
        calls = self.calls
        for call_id in chain(progress.changed, self._read):
            call = calls.get(call_id)
            if call is not None and call.status == "ended":
                del calls[call_id]
        self._read.clear()
        if len(calls) > _MOST_PENDING:
            pending = [call_id for call_id in progress.contacts if call_id in calls and calls[call_id].status == "scheduled"]
            for call_id in pending[max(0, len(pending) - len(calls) + _MOST_PENDING) :]:
                del calls[call_id]
        if len(calls) > _MOST_CALLS:
            calls.clear()
        for campaign_id, campaign in progress.changed_campaigns.items():
            if campaign.ended_at is not None or len(campaign.spec) > _LARGEST_SPEC:
                self.campaigns.pop(campaign_id, None)
        if len(self.campaigns) > _MOST_CAMPAIGNS:
            self.campaigns.clear()
