"""Owns which decision answers which command; a command handled before is answered by naming its first outcome."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from events import commands, facts
from events.envelope import Command, Event
from events.ids import campaign_id_of
from events.topics import COMMANDS_KEPT
from services.engine.decider import call_commands, campaign_commands, contact_commands
from services.engine.decider.outcomes import repeated
from services.engine.decider.policy import Policy
from services.engine.decider.state import PartitionState

Decision = Callable[[PartitionState, Command, Any, datetime, Policy], list[Event]]

_DECISIONS: dict[type[commands.CommandData], Decision] = {
    commands.CreateCampaign: contact_commands.create_campaign,
    commands.AddContacts: contact_commands.add_contacts,
    commands.UpdateCampaign: campaign_commands.update_campaign,
    commands.StopCampaign: campaign_commands.stop_campaign,
    commands.PauseCampaign: campaign_commands.pause_campaign,
    commands.ResumeCampaign: campaign_commands.resume_campaign,
    commands.ArchiveCampaign: campaign_commands.archive_campaign,
    commands.DeleteCampaign: campaign_commands.delete_campaign,
    commands.ClaimCall: call_commands.claim_call,
    commands.DialOutcome: call_commands.dial_outcome,
    commands.ReportCall: call_commands.report_call,
}


def decide(state: PartitionState, command: Command, now: datetime, policy: Policy) -> list[Event]:
    """The events that the command becomes at `now`, in order; `state` is only read.

    A user's command yields at least one event that names it; a command of our services may yield none. `now` is aware UTC
    and not before the last event's time.
    """
    if command.data.from_user:
        first = state.handled.get((command.org_id, command.id))
        if first is not None and first.at >= now - COMMANDS_KEPT:
            return [repeated(command, now, first.type_name, first.at, first.campaign_id)]
    return _DECISIONS[type(command.data)](state, command, command.data, now, policy)


def reject(
    org_id: str, command_id: str, type_name: str, campaign_id: str | None, now: datetime, reason: facts.RejectionReason, messages: list[str]
) -> Event:
    """The recorded rejection of a user's command that could not be decided on: its data was invalid, or deciding failed."""
    if campaign_id is None and type_name == commands.CreateCampaign.type_name:
        campaign_id = campaign_id_of(org_id, command_id)
    rejected = facts.CommandRejected(command=type_name, reason=reason, messages=messages)
    return Event(org_id, now, rejected, campaign_id, causation_id=command_id)
