"""Owns the fold of a batch of events into the rows of campaigns and calls."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from projections.campaign_progress.call_fold import CALL_FOLDS
from projections.campaign_progress.campaign_fold import CAMPAIGN_FOLDS, created
from projections.campaign_progress.rows import CallRow, CampaignRow, ContactRow
from projections.campaign_progress.tally import Tally, move, tally
from projections.errors import FoldError, UnknownEventError
from projections.reading import CallData, LogEvent

CREATED = "CampaignCreated.v1"
SCHEDULED = "CallScheduled.v1"
_ANSWERS_ONLY = frozenset({"CommandRejected.v1", "CommandHadNoEffect.v1"})
"""They say what became of a command and may name a campaign that does not exist: no row changes by them."""


@dataclass(slots=True)
class Progress:
    """The rows that a batch may touch, as they were before it, and what it changed.

    `campaigns` and `calls` must hold every row that exists of those that `touched` names. After `settle`: write
    `contacts` with their `calls` as new, the other `changed` calls as updates, and before both delete the calls of each
    campaign in `dropped` whose position is below the one given there.
    """

    partition: int
    campaigns: dict[str, CampaignRow]
    calls: dict[str, CallRow]
    contacts: dict[str, ContactRow] = field(default_factory=dict)
    changed: dict[str, CallRow] = field(default_factory=dict)
    changed_campaigns: dict[str, CampaignRow] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    _before: dict[str, Tally | None] = field(default_factory=dict)

    def fold(self, *events: LogEvent) -> None:
        """Fold events, in the log's order; a repeated one changes nothing. Raises `UnknownEventError` and `FoldError`."""
        calls, changed, before, changed_campaigns = self.calls, self.changed, self._before, self.changed_campaigns
        for event in events:
            fold_call = CALL_FOLDS.get(event.type)
            if fold_call is None:
                self._fold_other(event)
                continue
            call_id = event.callid
            call = calls.get(call_id)
            if call is None or call.campaign_id != event.subject:
                raise FoldError(f"{event.type} {event.id} names the call {call_id}, which its campaign never had")
            if call_id in changed:
                if not fold_call(call, event, event.data):
                    continue
            else:
                counted = tally(call)
                if not fold_call(call, event, event.data):
                    continue
                changed[call_id], before[call_id] = call, counted
            call.updated_at = event.time
            # not by the event's own text of the same id, whose hash nobody knows yet
            campaign = changed_campaigns.get(call.campaign_id) or self._changing(event)
            campaign.version += 1
            campaign.updated_at = event.time

    def _fold_other(self, event: LogEvent) -> None:
        type_name = event.type
        if type_name == SCHEDULED:
            self._schedule(event, event.data)
        elif type_name in CAMPAIGN_FOLDS:
            campaign = self._campaign(event)
            if CAMPAIGN_FOLDS[type_name](campaign, event, event.data):
                self._changes(event)
                if event.data.get("replacesContacts"):
                    self._drop_calls(campaign)
        elif type_name == CREATED:
            self._create(event)
        elif type_name not in _ANSWERS_ONLY:
            raise UnknownEventError(f"the event {event.id} is of the type {type_name}, unknown to this release")

    def settle(self) -> None:
        """Move the counters of the campaigns by what the batch changed of their calls; once, after the last event."""
        campaigns, before = self.changed_campaigns, self._before
        for call_id, call in self.changed.items():
            move(campaigns[call.campaign_id], before[call_id], tally(call))

    def _campaign(self, event: LogEvent) -> CampaignRow:
        campaign = self.campaigns.get(event.subject)
        if campaign is None:
            raise FoldError(f"{event.type} {event.id} names the campaign {event.subject}, which was never created")
        return campaign

    def _changing(self, event: LogEvent) -> CampaignRow:
        campaign = self.changed_campaigns[event.subject] = self._campaign(event)
        return campaign

    def _changes(self, event: LogEvent) -> None:
        campaign = self._changing(event)
        campaign.version += 1
        campaign.updated_at = event.time

    def _create(self, event: LogEvent) -> None:
        campaign_id = event.subject
        if campaign_id not in self.campaigns:
            campaign = created(event, event.data, campaign_id, self.partition)
            self.campaigns[campaign_id] = self.changed_campaigns[campaign_id] = campaign

    def _schedule(self, event: LogEvent, data: CallData) -> None:
        campaign, position, call_id = self._campaign(event), data.position, event.callid
        if position < 0 or not data.customer:
            raise FoldError(f"{event.type} {event.id} has no position or no customer")
        if position < campaign.total:
            return
        if position > campaign.total:
            raise FoldError(f"the campaign {campaign.id} got the position {position} where {campaign.total} is next")
        campaign.total += 1
        if data.part is not None:
            campaign.parts_received = data.part + 1
        phone_number_id = data.phone_number_id
        if phone_number_id is not None:
            # PostgreSQL's text can not hold NUL, and a contact must not stop its partition
            phone_number_id = phone_number_id.replace("\0", "\ufffd")
        self.contacts[call_id] = ContactRow(
            call_id, campaign.id, campaign.partition, position, data.entry, phone_number_id, str(data.customer, "utf-8"), event.time
        )
        self.calls[call_id] = self.changed[call_id] = CallRow(call_id, campaign.id, updated_at=event.time)
        self._before[call_id] = None
        self._changes(event)

    def _drop_calls(self, campaign: CampaignRow) -> None:
        for call_id in [call_id for call_id, call in self.calls.items() if call.campaign_id == campaign.id]:
            for rows in (self.calls, self.contacts, self.changed, self._before):
                rows.pop(call_id, None)
        self.dropped[campaign.id] = campaign.first_position


def touched(events: Sequence[LogEvent], campaigns: Container[str] = (), calls: Container[str] = ()) -> tuple[list[str], list[str]]:
    """The ids of the campaigns and of the calls whose rows folding the events may need, each once, in the order of the log.

    Those that are in `campaigns` and `calls`, which most are between two batches, are left out.
    """
    call_ids = [event.callid for event in events if event.callid not in calls and event.type in CALL_FOLDS]
    campaign_ids = [event.subject for event in events if event.subject not in campaigns and event.type not in _ANSWERS_ONLY]
    return list(dict.fromkeys(campaign_ids)), list(dict.fromkeys(call_ids))
