"""Owns every event: the facts that the engine, their only writer, appends to the log (design, "Commands and events").

The docstring of each says when the fact is recorded. All follow a decision of the engine.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from events.campaigns import CampaignSpec, SchedulePlan
from events.contacts import Customer
from events.instants import Instant
from events.wire import Attempt, EndedReason, Identifier, NonEmpty, Opaque, WholeNumber, Wire

CampaignEndedReason = Literal["campaign.ended.success", "campaign.scheduled.ended-by-user", "campaign.in-progress.ended-by-user"]
RejectionReason = Literal["invalid", "not-found", "state-forbids", "limit-exceeded", "contacts-incomplete", "id-reused", "internal-error"]


class Fact(Wire):
    """The `data` of an event's envelope; its campaign and call are the envelope's `subject` and `callid`."""

    type_name: ClassVar[str]
    answers_user: ClassVar[bool] = False
    """Whether the event, where it has a `causationid`, says what became of a user's command."""


class CampaignCreated(CampaignSpec, Fact):
    """A `CreateCampaign` was accepted. With `parts`, its contacts follow and must all have come by `contactsDueAt`."""

    type_name = "CampaignCreated.v1"
    answers_user = True

    max_concurrency: Annotated[WholeNumber, Field(ge=1)]
    has_dial_plan: bool = False
    parts: Annotated[WholeNumber, Field(ge=0)] = 0
    contacts_due_at: Instant | None = None


class CallScheduled(Fact):
    """One contact of the campaign was taken, in order; `position` counts from 0 and is never used twice.

    `phoneNumberId` and `entry` (counted from 0) stand on contacts of a dial plan, `part` on those of an `AddContacts`.
    """

    type_name = "CallScheduled.v1"
    answers_user = True

    position: Annotated[WholeNumber, Field(ge=0)]
    customer: Customer
    phone_number_id: NonEmpty | None = None
    entry: Annotated[WholeNumber, Field(ge=0)] | None = None
    part: Annotated[WholeNumber, Field(ge=0)] | None = None

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {"position": self.position, "customer": self.customer.to_wire()}
        if self.phone_number_id is not None:
            wire["phoneNumberId"] = self.phone_number_id
        if self.entry is not None:
            wire["entry"] = self.entry
        if self.part is not None:
            wire["part"] = self.part
        return wire


class ContactsCompleted(Fact):
    """All contacts of the campaign are on the log: from here it is shown and may be dialed. `contacts` is their number.

    Recorded again each time that contacts were added to a campaign whose contacts were complete.
    """

    type_name = "ContactsCompleted.v1"
    answers_user = True

    contacts: Annotated[WholeNumber, Field(ge=0)]


class CampaignStarted(Fact):
    """The first call of the campaign leaves `scheduled`; recorded right before its `CallQueued`."""

    type_name = "CampaignStarted.v1"


class CampaignHeldBack(Fact):
    """The org's limit begins to hold a call of the campaign back; tried again until `retryUntil` (contract, "Scheduling")."""

    type_name = "CampaignHeldBack.v1"

    retry_until: Instant


class CallQueued(Fact):
    """The call took a slot of its campaign and its org and may be claimed; again after a dial that surely was not placed."""

    type_name = "CallQueued.v1"

    attempt: Attempt


class CallClaimed(Fact):
    """The claim named by `causationid` was granted: its claimant alone may place this attempt, once, at the provider.

    Without an outcome by `outcomeDueAt` the call's outcome is unknown; without an end by `endsBy` the engine ends it.
    """

    type_name = "CallClaimed.v1"

    attempt: Attempt
    claimant: Identifier
    valid_until: Instant
    outcome_due_at: Instant
    ends_by: Instant
    provider: Identifier | None = None


class CallPlaced(Fact):
    """The dialer said that the provider took the call."""

    type_name = "CallPlaced.v1"

    attempt: Attempt
    provider: Identifier | None = None
    provider_call_id: Identifier | None = None


class CallRinging(Fact):
    """The provider said that it rings at the customer's."""

    type_name = "CallRinging.v1"

    attempt: Attempt
    provider_call_id: Identifier | None = None


class CallStarted(Fact):
    """The provider said that the call was picked up; `startedAt` by the provider's clock where it said so."""

    type_name = "CallStarted.v1"

    attempt: Attempt
    provider_call_id: Identifier | None = None
    started_at: Instant


class CallForwarded(Fact):
    """The provider said that the call is being forwarded."""

    type_name = "CallForwarded.v1"

    attempt: Attempt
    provider_call_id: Identifier | None = None


class CallOutcomeUnknown(Fact):
    """Nobody knows whether the provider has the call: it keeps its slot until `endsBy` and is never dialed again by itself."""

    type_name = "CallOutcomeUnknown.v1"

    attempt: Attempt
    ends_by: Instant
    provider: Identifier | None = None


class CallEnded(Fact):
    """The call is over and gives its slot back; final. `attempt` is absent on a call that never was queued.

    `reportDueAt` stands where the provider's final report may still add its cost and analysis (`CallAnalyzed`) until then.
    """

    type_name = "CallEnded.v1"

    attempt: Attempt | None = None
    ended_reason: EndedReason
    provider_call_id: Identifier | None = None
    started_at: Instant | None = None
    ended_at: Instant
    report_due_at: Instant | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    analysis: Opaque | None = None


class CallAnalyzed(Fact):
    """The provider's final report of a call that had ended before: what it adds, once."""

    type_name = "CallAnalyzed.v1"

    attempt: Attempt
    cost: Annotated[float, Field(ge=0)] | None = None
    analysis: Opaque | None = None


class ContactSkipped(Fact):
    """Pre-dial said no; the contact's `CallEnded` follows."""

    type_name = "ContactSkipped.v1"

    attempt: Attempt


class PredialFailed(Fact):
    """Pre-dial could not be asked, or did not answer what it must; the contact's `CallEnded` follows."""

    type_name = "PredialFailed.v1"

    attempt: Attempt
    error: str | None = None


class CampaignUpdated(Fact):
    """The fields given were changed by a user. A target takes the place of the old one.

    `replacesContacts`: the calls scheduled so far are dropped, and `CallScheduled` for each new contact and
    `ContactsCompleted` follow in the same transaction. `phoneNumberId` on a campaign with a dial plan turns the plan's
    customers into the campaign's own; `hasDialPlan` says which of both it has from now on.
    """

    type_name = "CampaignUpdated.v1"
    answers_user = True

    name: str | None = None
    assistant_id: NonEmpty | None = None
    workflow_id: NonEmpty | None = None
    squad_id: NonEmpty | None = None
    phone_number_id: NonEmpty | None = None
    has_dial_plan: bool | None = None
    replaces_contacts: bool | None = None
    schedule_plan: SchedulePlan | None = None


class CampaignPaused(Fact):
    """A user paused the campaign."""

    type_name = "CampaignPaused.v1"
    answers_user = True


class CampaignResumed(Fact):
    """A user resumed the campaign."""

    type_name = "CampaignResumed.v1"
    answers_user = True


class CampaignCancelled(Fact):
    """A user stopped the campaign by V2; its pending calls end after this, those under way finish."""

    type_name = "CampaignCancelled.v1"
    answers_user = True

    ended_reason: CampaignEndedReason


class CampaignEnded(Fact):
    """Every call is over, or a user stopped the campaign by V1: then its pending calls end after this, those under way finish."""

    type_name = "CampaignEnded.v1"
    answers_user = True

    ended_reason: CampaignEndedReason


class CampaignArchived(Fact):
    """A user archived the campaign, which was over or was cancelled right before."""

    type_name = "CampaignArchived.v1"
    answers_user = True


class CampaignDeleted(Fact):
    """A user deleted the campaign by V1, or its contacts never all came: no answer shows it any more."""

    type_name = "CampaignDeleted.v1"
    answers_user = True


class CommandRejected(Fact):
    """A user's command broke a rule; nothing changed. `messages` holds one for each broken rule."""

    type_name = "CommandRejected.v1"
    answers_user = True

    command: str
    reason: RejectionReason
    messages: list[str]


class CommandHadNoEffect(Fact):
    """A user's command changed nothing: nothing was left to do, or its id was handled before.

    Then `firstType` and `firstAt` name what it yielded at first.
    """

    type_name = "CommandHadNoEffect.v1"
    answers_user = True

    command: str
    reason: Literal["repeated", "nothing-to-change"]
    first_type: str | None = None
    first_at: Instant | None = None


FACTS: dict[str, type[Fact]] = {
    fact.type_name: fact
    for fact in (
        CampaignCreated,
        CallScheduled,
        ContactsCompleted,
        CampaignStarted,
        CampaignHeldBack,
        CallQueued,
        CallClaimed,
        CallPlaced,
        CallRinging,
        CallStarted,
        CallForwarded,
        CallOutcomeUnknown,
        CallEnded,
        CallAnalyzed,
        ContactSkipped,
        PredialFailed,
        CampaignUpdated,
        CampaignPaused,
        CampaignResumed,
        CampaignCancelled,
        CampaignEnded,
        CampaignArchived,
        CampaignDeleted,
        CommandRejected,
        CommandHadNoEffect,
    )
}

ANSWERS_USER: frozenset[str] = frozenset(name for name, fact in FACTS.items() if fact.answers_user)
