"""Owns the shapes that every decision on a user's command ends in: facts that name it, a rejection, or no effect."""

from datetime import datetime

from events import facts
from events.calls import DELETED
from events.envelope import Command, Event
from services.engine.decider.state import CallState, CampaignState


def fact(command: Command, now: datetime, data: facts.Fact, campaign_id: str | None, call_id: str | None = None) -> Event:
    """An event that names the command as its cause."""
    return Event(command.org_id, now, data, campaign_id, call_id, command.id)


def rejected(
    command: Command, now: datetime, reason: facts.RejectionReason, messages: list[str], campaign_id: str | None = None
) -> list[Event]:
    data = facts.CommandRejected(command=command.data.type_name, reason=reason, messages=messages)
    return [fact(command, now, data, campaign_id or command.campaign_id)]


def not_found(command: Command, now: datetime) -> list[Event]:
    return rejected(command, now, "not-found", [f"campaign {command.campaign_id} does not exist"])


def incomplete(campaign: CampaignState) -> str:
    """Why a campaign that was created in parts was given up."""
    return f"only {campaign.parts_received} of {campaign.parts} parts of the contacts came in time"


def nothing_to_change(command: Command, now: datetime) -> list[Event]:
    data = facts.CommandHadNoEffect(command=command.data.type_name, reason="nothing-to-change")
    return [fact(command, now, data, command.campaign_id)]


def repeated(command: Command, now: datetime, first_type: str, first_at: datetime, campaign_id: str | None) -> Event:
    """The answer to a command whose id was handled before."""
    return repeat_of(command.org_id, command.id, command.data.type_name, now, first_type, first_at, campaign_id)


def repeat_of(
    org_id: str, command_id: str, type_name: str, now: datetime, first_type: str, first_at: datetime, campaign_id: str | None
) -> Event:
    """The same, of a command that may not be read any more."""
    data = facts.CommandHadNoEffect(command=type_name, reason="repeated", first_type=first_type, first_at=first_at)
    return Event(org_id, now, data, campaign_id, causation_id=command_id)


def call_ended(campaign: CampaignState, call: CallState, now: datetime, ended_reason: str, command: Command | None = None) -> Event:
    """The end of an active call that no report ended."""
    data = facts.CallEnded(attempt=call.attempt, ended_reason=ended_reason, started_at=call.started_at, ended_at=now)
    return Event(campaign.org_id, now, data, campaign.id, call.id, command.id if command else None)


def stopped(campaign: CampaignState, command: Command, now: datetime, status: str) -> list[Event]:
    """A user's stop of a campaign that is not over: the status at once, then the end of every call that no dialer was granted.

    The pending calls' ends follow from `advance`, in pieces.
    """
    reason: facts.CampaignEndedReason = (
        "campaign.in-progress.ended-by-user" if campaign.status == "in-progress" else "campaign.scheduled.ended-by-user"
    )
    over = facts.CampaignCancelled(ended_reason=reason) if status == "cancelled" else facts.CampaignEnded(ended_reason=reason)
    unclaimed = [call_ended(campaign, call, now, DELETED) for call in campaign.calls.values() if call.awaits_claim]
    return [fact(command, now, over, campaign.id), *unclaimed]
