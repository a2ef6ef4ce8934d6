"""Owns the fold of facts into the engine's state; decides nothing."""

from collections.abc import Callable
from typing import Any

from events import facts
from events.calls import STATUS_AFTER
from events.envelope import Event
from events.ids import call_id_of
from services.engine.decider.state import AwaitedReport, CallState, CampaignState, Handled, PartitionState


class FoldError(Exception):
    """An event contradicts the facts before it; the log or the snapshot is not what this release wrote. Not retriable."""


def evolve(state: PartitionState, event: Event) -> PartitionState:
    """Fold one event. The state is owned by the caller and changed in place; events must come in the log's order, each once."""
    if state.last_event_at is None or event.at > state.last_event_at:
        state.last_event_at = event.at
    state.forget(event.at)
    if event.causation_id is not None and event.data.answers_user:
        key = (event.org_id, event.causation_id)
        if key not in state.handled:
            state.handled[key] = Handled(event.data.type_name, event.at, event.campaign_id, event.request_hash)
    fold = _FOLDS.get(type(event.data))
    if fold is not None:
        fold(state, event, event.data)
        state.stir(event.org_id)
    return state


def _campaign(state: PartitionState, event: Event) -> CampaignState:
    campaign = state.campaigns.get(event.campaign_id or "")
    if campaign is None:
        raise FoldError(f"{event.data.type_name} of the campaign {event.campaign_id}, which was never created")
    return campaign


def _call(state: PartitionState, event: Event) -> tuple[CampaignState, CallState]:
    campaign = _campaign(state, event)
    call = campaign.calls.get(event.call_id or "")
    if call is None:
        raise FoldError(f"{event.data.type_name} of the call {event.call_id}, which is not under way")
    return campaign, call


def _take_pending(campaign: CampaignState, event: Event) -> None:
    if not campaign.pending or event.call_id != call_id_of(campaign.id, campaign.next_position):
        raise FoldError(f"{event.data.type_name} of the call {event.call_id}, which is not the next pending one")
    campaign.next_position += 1


def _close_if_done(state: PartitionState, campaign: CampaignState) -> None:
    if not campaign.is_open:
        state.org(campaign.org_id).open.pop(campaign.id, None)


def _created(state: PartitionState, event: Event, data: facts.CampaignCreated) -> None:
    plan = data.schedule_plan
    campaign = CampaignState(
        id=event.campaign_id or "",
        org_id=event.org_id,
        created_at=event.at,
        created_by=event.causation_id,
        max_concurrency=data.max_concurrency,
        has_dial_plan=data.has_dial_plan,
        parts=data.parts,
        contacts_due_at=data.contacts_due_at,
        earliest_at=plan.earliest_at if plan else None,
        latest_at=plan.latest_at if plan else None,
    )
    state.campaigns[campaign.id] = campaign
    state.org(event.org_id).open[campaign.id] = campaign
    if data.contacts_due_at is not None:
        state.deadlines.add(data.contacts_due_at, campaign.id)


def _scheduled(state: PartitionState, event: Event, data: facts.CallScheduled) -> None:
    campaign = _campaign(state, event)
    if data.position != campaign.total:
        raise FoldError(f"position {data.position} of the campaign {campaign.id} where {campaign.total} is next")
    campaign.total += 1
    if data.part is not None:
        campaign.parts_received = data.part + 1


def _completed(state: PartitionState, event: Event, data: facts.ContactsCompleted) -> None:
    campaign = _campaign(state, event)
    campaign.complete = True
    campaign.contacts_due_at = None
    _watch(state, campaign)


def _watch(state: PartitionState, campaign: CampaignState) -> None:
    for at in campaign.deadlines():
        state.deadlines.add(at, campaign.id)


def _started(state: PartitionState, event: Event, data: facts.CampaignStarted) -> None:
    _campaign(state, event).status = "in-progress"


def _held_back(state: PartitionState, event: Event, data: facts.CampaignHeldBack) -> None:
    campaign = _campaign(state, event)
    campaign.retry_until = data.retry_until
    state.deadlines.add(data.retry_until, campaign.id)


def _queued(state: PartitionState, event: Event, data: facts.CallQueued) -> None:
    campaign = _campaign(state, event)
    call = campaign.calls.get(event.call_id or "")
    if call is None:
        _take_pending(campaign, event)
        call = CallState(event.call_id or "", campaign.id, "queued", data.attempt)
        campaign.calls[call.id] = call
        state.org(event.org_id).active += 1
    state.org(event.org_id).dialed -= call.outcome_unknown
    call.attempt = data.attempt
    call.claim_id = call.provider = call.outcome_due_at = call.ends_by = None
    call.outcome_unknown = False


def _claimed(state: PartitionState, event: Event, data: facts.CallClaimed) -> None:
    campaign, call = _call(state, event)
    call.claim_id = event.causation_id
    call.provider = data.provider
    call.outcome_due_at = data.outcome_due_at
    call.ends_by = data.ends_by
    state.deadlines.add(data.outcome_due_at, campaign.id, call.id)


def _placed(state: PartitionState, event: Event, data: facts.CallPlaced) -> None:
    call = _resolve(state, event)
    call.provider = data.provider or call.provider


def _resolve(state: PartitionState, event: Event) -> CallState:
    campaign, call = _call(state, event)
    state.org(event.org_id).dialed += not call.is_dialed
    if not call.placed:
        call.placed = True
        call.outcome_unknown = False
        if call.ends_by is not None:
            state.deadlines.add(call.ends_by, campaign.id, call.id)
    return call


def _moved(state: PartitionState, event: Event, data: facts.CallRinging | facts.CallForwarded) -> None:
    _resolve(state, event).status = STATUS_AFTER[data.type_name]


def _picked_up(state: PartitionState, event: Event, data: facts.CallStarted) -> None:
    call = _resolve(state, event)
    call.status = STATUS_AFTER[data.type_name]
    call.started_at = data.started_at


def _unknown(state: PartitionState, event: Event, data: facts.CallOutcomeUnknown) -> None:
    campaign, call = _call(state, event)
    state.org(event.org_id).dialed += not call.is_dialed
    call.outcome_unknown = True
    call.ends_by = data.ends_by
    state.deadlines.add(data.ends_by, campaign.id, call.id)


def _ended(state: PartitionState, event: Event, data: facts.CallEnded) -> None:
    campaign = _campaign(state, event)
    call = campaign.calls.pop(event.call_id or "", None)
    if call is None:
        _take_pending(campaign, event)
    else:
        org = state.org(event.org_id)
        org.active -= 1
        org.dialed -= call.is_dialed
        if data.report_due_at is not None:
            state.awaited[call.id] = AwaitedReport(campaign.id, call.attempt, data.report_due_at)
    _close_if_done(state, campaign)


def _analyzed(state: PartitionState, event: Event, data: facts.CallAnalyzed) -> None:
    state.awaited.pop(event.call_id or "", None)


def _updated(state: PartitionState, event: Event, data: facts.CampaignUpdated) -> None:
    campaign = _campaign(state, event)
    if data.has_dial_plan is not None:
        campaign.has_dial_plan = data.has_dial_plan
    if data.replaces_contacts:
        campaign.first_position = campaign.next_position = campaign.total
        campaign.complete = False
    if data.schedule_plan is not None:
        campaign.earliest_at = data.schedule_plan.earliest_at
        campaign.latest_at = data.schedule_plan.latest_at
        _watch(state, campaign)


def _paused(state: PartitionState, event: Event, data: facts.CampaignPaused) -> None:
    _campaign(state, event).paused = True


def _resumed(state: PartitionState, event: Event, data: facts.CampaignResumed) -> None:
    _campaign(state, event).paused = False


def _over(state: PartitionState, event: Event, data: facts.CampaignEnded | facts.CampaignCancelled) -> None:
    campaign = _campaign(state, event)
    campaign.status = "ended" if isinstance(data, facts.CampaignEnded) else "cancelled"
    campaign.paused = False
    _close_if_done(state, campaign)


def _archived(state: PartitionState, event: Event, data: facts.CampaignArchived) -> None:
    _campaign(state, event).status = "archived"


def _deleted(state: PartitionState, event: Event, data: facts.CampaignDeleted) -> None:
    campaign = _campaign(state, event)
    campaign.deleted = True
    _close_if_done(state, campaign)


_FOLDS: dict[type[facts.Fact], Callable[[PartitionState, Event, Any], None]] = {
    facts.CampaignCreated: _created,
    facts.CallScheduled: _scheduled,
    facts.ContactsCompleted: _completed,
    facts.CampaignStarted: _started,
    facts.CampaignHeldBack: _held_back,
    facts.CallQueued: _queued,
    facts.CallClaimed: _claimed,
    facts.CallPlaced: _placed,
    facts.CallRinging: _moved,
    facts.CallStarted: _picked_up,
    facts.CallForwarded: _moved,
    facts.CallOutcomeUnknown: _unknown,
    facts.CallEnded: _ended,
    facts.CallAnalyzed: _analyzed,
    facts.CampaignUpdated: _updated,
    facts.CampaignPaused: _paused,
    facts.CampaignResumed: _resumed,
    facts.CampaignCancelled: _over,
    facts.CampaignEnded: _over,
    facts.CampaignArchived: _archived,
    facts.CampaignDeleted: _deleted,
}
