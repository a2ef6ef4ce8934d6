"""Owns every command: what users ask of campaigns, and what our services report of calls (design, "Commands and events")."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from events.campaigns import (
    MAX_CONTACTS_PER_COMMAND,
    CampaignEdit,
    CampaignSpec,
    Counted,
    contact_rules,
)
from events.contacts import Contacts, DialPlan, broken
from events.instants import Instant
from events.wire import Attempt, EndedReason, Identifier, Opaque, WholeNumber, Wire

MAX_PARTS = 10_000
MAX_ENTRIES = 1_000_000
MAX_COST = 1_000_000


class CommandData(Wire):
    """The `data` of a command's envelope."""

    type_name: ClassVar[str]
    from_user: ClassVar[bool] = True
    """Whether a user asks it: then it yields at least one event that names it, and its id is remembered."""
    without_subject: ClassVar[str | None] = None
    """Why the envelope names no campaign, where that is so."""


class CreateCampaign(CampaignSpec, Counted, CommandData):
    """Create a campaign, its contacts inline or in `parts` `AddContacts` commands that follow.

    The envelope has no `subject`: the campaign's id follows from the org and the command's id.
    `parts` 0 or absent: the contacts stand inline, at most 4,000. Otherwise no contacts stand here, and `hasDialPlan`
    says whether the parts hold dial-plan entries.
    """

    type_name = "CreateCampaign.v1"
    without_subject = "the campaign's id follows from orgid and id"
    max_contacts = MAX_CONTACTS_PER_COMMAND

    customers: Contacts | None = None
    dial_plan: DialPlan | None = None
    parts: Annotated[WholeNumber, Field(ge=0, le=MAX_PARTS)] = 0
    has_dial_plan: bool = False

    @model_validator(mode="after")
    def _rules(self) -> "CreateCampaign":
        messages = self.spec_rules()
        if self.parts and (self.customers or self.dial_plan):
            messages.append("parts and inline contacts exclude each other")
        elif self.parts:
            messages += contact_rules(self.phone_number_id, None if self.has_dial_plan else (), () if self.has_dial_plan else None)
        else:
            messages += contact_rules(self.phone_number_id, self.customers, self.dial_plan)
        if messages:
            raise broken(messages)
        return self


class AddContacts(Counted, CommandData):
    """More contacts: of a campaign that is created in parts, or, without `part`, of one whose contacts are complete and that is not over.

    `part` counts from 0, and parts are taken in order. `firstEntry` is the index, in the whole dial plan, of the first entry
    here: a long entry may go on over several parts. A campaign whose contacts are complete takes `customers` only, and only
    where it has no dial plan.
    """

    type_name = "AddContacts.v1"
    max_contacts = MAX_CONTACTS_PER_COMMAND

    part: Annotated[WholeNumber, Field(ge=0, le=MAX_PARTS)] | None = None
    customers: Contacts | None = None
    dial_plan: DialPlan | None = None
    first_entry: Annotated[WholeNumber, Field(ge=0, le=MAX_ENTRIES)] = 0

    @model_validator(mode="after")
    def _rules(self) -> "AddContacts":
        messages = []
        if (self.customers is None) == (self.dial_plan is None):
            messages.append("exactly one of customers and dialPlan is required")
        if self.part is None and self.dial_plan is not None:
            messages.append("part is required with dialPlan")
        if messages:
            raise broken(messages)
        return self


class UpdateCampaign(CampaignEdit, CommandData):
    """Edit a campaign and, with `status`, stop it, in one decision; a `dialPlan` replaces all contacts."""

    type_name = "UpdateCampaign.v1"


class StopCampaign(CommandData):
    """Stop a campaign: V1 stops to `ended`, V2 to `cancelled`; stopping what is over has no effect."""

    type_name = "StopCampaign.v1"

    status: Literal["ended", "cancelled"] = "ended"


class PauseCampaign(CommandData):
    """Place no further calls until resumed; the status stays, calls under way finish."""

    type_name = "PauseCampaign.v1"


class ResumeCampaign(CommandData):
    """Go on with a paused campaign."""

    type_name = "ResumeCampaign.v1"


class ArchiveCampaign(CommandData):
    """V2's delete: cancel the campaign if it is active, then archive it."""

    type_name = "ArchiveCampaign.v1"


class DeleteCampaign(CommandData):
    """V1's delete: end the campaign if it is active, then take it out of every answer."""

    type_name = "DeleteCampaign.v1"


class ClaimCall(CommandData):
    """A dialer process asks to be the one that places a call; the id of this command is the claim's id.

    `claimant` is drawn by each dialer process when it starts. The claim is worthless after `validUntil`.
    """

    type_name = "ClaimCall.v1"
    from_user = False

    attempt: Attempt
    claimant: Identifier
    valid_until: Instant
    provider: Identifier | None = None


class DialOutcome(CommandData):
    """What became of a dial. `claimId` names the granted claim; `skipped` and `predial-failed` come before any claim.

    `not-placed` says that the provider surely was not asked: the call is queued again under the same attempt. `not-found`
    says that a provider that can be asked by our id never got a call whose outcome is unknown: it ends, and is not dialed again.
    """

    type_name = "DialOutcome.v1"
    from_user = False

    attempt: Attempt
    claim_id: Identifier | None = None
    outcome: Literal["placed", "refused", "not-placed", "skipped", "predial-failed", "unknown", "not-found"]
    provider: Identifier | None = None
    provider_call_id: Identifier | None = None
    ended_reason: EndedReason | None = None
    error: Annotated[str, Field(max_length=1_000)] | None = None

    @model_validator(mode="after")
    def _rules(self) -> "DialOutcome":
        if self.claim_id is None and self.outcome not in ("skipped", "predial-failed", "not-found"):
            raise broken([f"claimId is required with the outcome {self.outcome}"])
        return self


class ReportCall(CommandData):
    """What the provider said of a call; `final` marks the report that comes after the end and carries its analysis.

    `cost` is in US dollars, as the provider says it.
    """

    type_name = "ReportCall.v1"
    from_user = False

    attempt: Attempt
    status: Literal["ringing", "in-progress", "forwarding", "ended"]
    provider: Identifier | None = None
    provider_call_id: Identifier | None = None
    ended_reason: EndedReason | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    cost: Annotated[float, Field(ge=0, le=MAX_COST, allow_inf_nan=False)] | None = None
    analysis: Opaque | None = None
    final: bool = False


COMMANDS: dict[str, type[CommandData]] = {
    command.type_name: command
    for command in (
        CreateCampaign,
        AddContacts,
        UpdateCampaign,
        StopCampaign,
        PauseCampaign,
        ResumeCampaign,
        ArchiveCampaign,
        DeleteCampaign,
        ClaimCall,
        DialOutcome,
        ReportCall,
    )
}
