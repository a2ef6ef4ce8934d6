"""Owns the decisions on a campaign that exists: edit, stop, pause, resume, archive, delete (contract, "Campaign status")."""

from datetime import datetime

from events import commands, facts
from events.envelope import Command, Event
from services.engine.decider.contact_commands import contacts
from services.engine.decider.outcomes import fact, not_found, nothing_to_change, rejected, stopped
from services.engine.decider.policy import Policy
from services.engine.decider.state import CampaignState, PartitionState

_BEFORE_START = ("assistant_id", "workflow_id", "squad_id", "phone_number_id", "dial_plan", "schedule_plan")


def _shown(state: PartitionState, command: Command) -> CampaignState | None:
    campaign = state.campaign_of(command.org_id, command.campaign_id)
    return campaign if campaign is not None and campaign.complete else None


def update_campaign(state: PartitionState, command: Command, data: commands.UpdateCampaign, now: datetime, policy: Policy) -> list[Event]:
    """The edit, then the stop, or one message for each field that the campaign's state forbids to change."""
    campaign = _shown(state, command)
    if campaign is None:
        return not_found(command, now)
    edits = data.model_dump(exclude={"status", "dial_plan"}, exclude_none=True)
    messages = _forbidden(campaign, data)
    if messages:
        return rejected(command, now, "state-forbids", messages)
    events = []
    if edits or data.dial_plan is not None:
        events += _edited(campaign, command, data, edits, now)
    if data.status is not None and not campaign.is_over:
        events += stopped(campaign, command, now, data.status)
    return events or nothing_to_change(command, now)


def _forbidden(campaign: CampaignState, data: commands.UpdateCampaign) -> list[str]:
    given = data.model_fields_set
    if campaign.status == "archived":
        return [f"{_wire(field)} can not be changed: the campaign is archived" for field in ("name", *_BEFORE_START) if field in given]
    if campaign.status == "scheduled":
        return []
    return [
        f"{_wire(field)} can only be changed while the campaign is scheduled, it is {campaign.status}"
        for field in _BEFORE_START
        if field in given
    ]


def _wire(field: str) -> str:
    return commands.UpdateCampaign.model_fields[field].alias or field


def _edited(
    campaign: CampaignState, command: Command, data: commands.UpdateCampaign, edits: dict[str, object], now: datetime
) -> list[Event]:
    replaces = data.dial_plan is not None
    has_dial_plan = True if replaces else False if data.phone_number_id is not None and campaign.has_dial_plan else None
    updated = facts.CampaignUpdated.model_validate({**edits, "has_dial_plan": has_dial_plan, "replaces_contacts": replaces or None})
    events = [fact(command, now, updated, campaign.id)]
    if replaces:
        scheduled = contacts(command, now, campaign.id, campaign.total, None, data.dial_plan)
        events += [*scheduled, fact(command, now, facts.ContactsCompleted(contacts=len(scheduled)), campaign.id)]
    return events


def stop_campaign(state: PartitionState, command: Command, data: commands.StopCampaign, now: datetime, policy: Policy) -> list[Event]:
    """`CampaignEnded` or `CampaignCancelled` at once; stopping what is over has no effect."""
    campaign = _shown(state, command)
    if campaign is None:
        return not_found(command, now)
    return nothing_to_change(command, now) if campaign.is_over else stopped(campaign, command, now, data.status)


def pause_campaign(state: PartitionState, command: Command, data: commands.PauseCampaign, now: datetime, policy: Policy) -> list[Event]:
    """No claim is granted and no call queued from here on; calls under way finish."""
    campaign = _shown(state, command)
    if campaign is None:
        return not_found(command, now)
    if campaign.is_over:
        return rejected(command, now, "state-forbids", [f"a campaign that is {campaign.status} can not be paused"])
    if campaign.paused:
        return nothing_to_change(command, now)
    return [fact(command, now, facts.CampaignPaused(), campaign.id)]


def resume_campaign(state: PartitionState, command: Command, data: commands.ResumeCampaign, now: datetime, policy: Policy) -> list[Event]:
    """The campaign goes on; calls that were queued and not claimed are offered to the dialers again."""
    campaign = _shown(state, command)
    if campaign is None:
        return not_found(command, now)
    if campaign.is_over:
        return rejected(command, now, "state-forbids", [f"a campaign that is {campaign.status} can not be resumed"])
    if not campaign.paused:
        return nothing_to_change(command, now)
    offered = [
        Event(campaign.org_id, now, facts.CallQueued(attempt=call.attempt), campaign.id, call.id, command.id)
        for call in campaign.calls.values()
        if call.awaits_claim
    ]
    return [fact(command, now, facts.CampaignResumed(), campaign.id), *offered]


def archive_campaign(state: PartitionState, command: Command, data: commands.ArchiveCampaign, now: datetime, policy: Policy) -> list[Event]:
    """`CampaignCancelled` where it is not over yet, then `CampaignArchived`."""
    campaign = _shown(state, command)
    if campaign is None:
        return not_found(command, now)
    if campaign.status == "archived":
        return nothing_to_change(command, now)
    before = [] if campaign.is_over else stopped(campaign, command, now, "cancelled")
    return [*before, fact(command, now, facts.CampaignArchived(), campaign.id)]


def delete_campaign(state: PartitionState, command: Command, data: commands.DeleteCampaign, now: datetime, policy: Policy) -> list[Event]:
    """`CampaignEnded` where it is not over yet, then `CampaignDeleted`."""
    campaign = _shown(state, command)
    if campaign is None:
        return not_found(command, now)
    before = [] if campaign.is_over else stopped(campaign, command, now, "ended")
    return [*before, fact(command, now, facts.CampaignDeleted(), campaign.id)]
