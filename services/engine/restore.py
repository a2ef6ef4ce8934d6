"""Owns how the engine's state is made from the read model's snapshot."""

from collections import OrderedDict

from events.facts import CampaignCreated
from projections.engine_snapshot.snapshot import CallSnapshot, CampaignSnapshot, EngineSnapshot
from services.engine.decider.state import AwaitedReport, CallState, CampaignState, Handled, PartitionState


def state_of(snapshot: EngineSnapshot) -> PartitionState:
    """The state as it stood right before the event at the snapshot's `next_offset`."""
    state = PartitionState(last_event_at=snapshot.last_event_at)
    handled = sorted(snapshot.handled, key=lambda command: command.first_at)
    state.handled = OrderedDict(
        ((h.org_id, h.command_id), Handled(h.first_type, h.first_at, h.campaign_id, h.request_hash)) for h in handled
    )
    created_by = {h.campaign_id: h.command_id for h in handled if h.first_type == CampaignCreated.type_name}
    for row in sorted(snapshot.campaigns, key=lambda campaign: (campaign.created_at, campaign.campaign_id)):
        campaign = _campaign(row, created_by.get(row.campaign_id))
        state.campaigns[campaign.id] = campaign
        if campaign.is_open:
            state.org(campaign.org_id).open[campaign.id] = campaign
            state.stir(campaign.org_id)
    for call in snapshot.active_calls:
        _restore_call(state, call)
    state.awaited = OrderedDict(sorted(state.awaited.items(), key=lambda item: item[1].due_at))
    state.deadlines.rebuild(state.live_deadlines())
    return state


def _campaign(row: CampaignSnapshot, created_by: str | None) -> CampaignState:
    return CampaignState(
        id=row.campaign_id,
        org_id=row.org_id,
        created_at=row.created_at,
        created_by=created_by,
        max_concurrency=row.max_concurrency,
        status=row.status,
        paused=row.paused,
        deleted=row.deleted,
        complete=row.complete,
        has_dial_plan=row.has_dial_plan,
        parts=row.parts,
        parts_received=row.parts_received,
        contacts_due_at=row.contacts_due_at,
        earliest_at=row.earliest_at,
        latest_at=row.latest_at,
        retry_until=row.retry_until,
        first_position=row.first_position,
        next_position=row.total - row.scheduled,
        total=row.total,
    )


def _restore_call(state: PartitionState, row: CallSnapshot) -> None:
    campaign = state.campaigns[row.campaign_id]
    if row.status == "ended":
        if row.report_due_at is not None:
            state.awaited[row.call_id] = AwaitedReport(row.campaign_id, row.attempt, row.report_due_at)
        return
    call = CallState(
        id=row.call_id,
        campaign_id=row.campaign_id,
        status=row.status,
        attempt=row.attempt,
        claim_id=row.claim_id,
        provider=row.provider,
        placed=row.placed,
        outcome_unknown=row.outcome_unknown,
        outcome_due_at=row.outcome_due_at,
        ends_by=row.ends_by,
        started_at=row.started_at,
    )
    campaign.calls[call.id] = call
    org = state.org(campaign.org_id)
    org.active += 1
    org.dialed += call.is_dialed
    state.stir(org.id)
