"""Owns which decision answers which command; a command handled before is answered by naming its first outcome."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from events import commands, facts
from events.envelope import Command, Event
from events.ids import campaign_id_of
from events.topics import COMMAND_IDS_KEPT
from services.engine.decider import call_commands, campaign_commands, contact_commands
from services.engine.decider.outcomes import rejected, repeated
from services.engine.decider.policy import Policy
from services.engine.decider.state import PartitionState

ID_REUSED = "this id, or Idempotency-Key, was used for another request: each request needs one of its own"

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
    if not command.data.from_user:
        return _DECISIONS[type(command.data)](state, command, command.data, now, policy)
    first = state.handled.get((command.org_id, command.id))
    if first is None or first.at < now - COMMAND_IDS_KEPT:
        events = _DECISIONS[type(command.data)](state, command, command.data, now, policy)
    elif first.is_of_another_request(command.request_hash):
        events = rejected(command, now, "id-reused", [ID_REUSED], command.campaign_id or first.campaign_id)
    else:
        events = [repeated(command, now, first.type_name, first.at, first.campaign_id)]
    return [replace(events[0], request_hash=command.request_hash), *events[1:]]


def reject(
    org_id: str,
    command_id: str,
    type_name: str,
    campaign_id: str | None,
    now: datetime,
    reason: facts.RejectionReason,
    messages: list[str],
    request_hash: str | None = None,
) -> Event:
    """The recorded rejection of a user's command that could not be decided on: its data was invalid, or deciding failed."""
    if campaign_id is None and type_name == commands.CreateCampaign.type_name:
        campaign_id = campaign_id_of(org_id, command_id)
    rejection = facts.CommandRejected(command=type_name, reason=reason, messages=messages)
    return Event(org_id, now, rejection, campaign_id, causation_id=command_id, request_hash=request_hash)
