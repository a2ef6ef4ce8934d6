"""Owns what a campaign is: its target, number, schedule, limits and webhooks as the contract takes them."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from events.contacts import Contact, Customer, DialPlanEntry, broken
from events.instants import Instant
from events.wire import NonEmpty, Opaque, WholeNumber, Wire

DEFAULT_MAX_CONCURRENCY = 10
MAX_CONTACTS_PER_REQUEST = 10_000
MAX_CONTACTS_PER_COMMAND = 4_000
"""An engine transaction holds at most 5,000 events, and each contact of a command becomes one (design, "Commands and events")."""

_UNPRINTED = re.compile(r"[\s\x00-\x1f\x7f]")

TARGETS = ("assistantId", "workflowId", "squadId")

OVER = frozenset({"ended", "cancelled", "archived"})
"""The statuses in which a campaign places no call any more (contract, "Campaign status")."""

ServerMessage = Literal[
    "campaign.started",
    "campaign.cancelled",
    "campaign.ended",
    "campaign.archived",
    "campaign.unarchived",
    "contact.dispatched",
    "contact.completed",
    "contact.failed",
    "contact.skipped",
    "contact.predial-failed",
    "campaign.job.continued",
]


class SchedulePlan(Wire):
    """When calls may begin: not before `earliestAt`, none any more from `latestAt` on."""

    earliest_at: Instant
    latest_at: Instant | None = None

    @model_validator(mode="after")
    def _rules(self) -> "SchedulePlan":
        if self.latest_at is not None and self.latest_at <= self.earliest_at:
            raise broken(["latestAt must be after earliestAt"])
        return self


class BackoffPlan(Wire):
    """How a webhook that failed is tried again; delays in seconds."""

    type: Literal["fixed", "exponential"]
    max_retries: Annotated[WholeNumber, Field(ge=0, le=10)]
    base_delay_seconds: Annotated[float, Field(ge=0, le=10)]
    excluded_status_codes: list[WholeNumber] | None = None

    def retry_after_seconds(self, failures: int, status: int | None) -> float | None:
        """How long to wait after the failure number `failures` (from 1), of this status where there was one; `None`: it is not tried again.

        Always the base delay, or twice as long each time.
        """
        if failures > self.max_retries or status in (self.excluded_status_codes or ()):
            return None
        return self.base_delay_seconds * (2 ** (failures - 1) if self.type == "exponential" else 1)


class Server(Wire):
    """The customer's server that gets the webhooks; `timeoutSeconds` defaults to 20."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^https?://[^\s/?#]+[^\s]*$")] | None = None
    timeout_seconds: Annotated[float, Field(ge=1, le=300)] | None = None
    headers: Opaque | None = None
    backoff_plan: BackoffPlan | None = None
    credential_id: NonEmpty | None = None
    static_ip_addresses_enabled: bool | None = None
    encrypted_paths: list[str] | None = None


class PredialPlan(Wire):
    """Asks the customer's server before each call; on unless `enabled` is false."""

    enabled: bool | None = None


class CampaignSpec(Wire):
    """What a user says of a campaign, without its contacts."""

    name: str
    assistant_id: NonEmpty | None = None
    workflow_id: NonEmpty | None = None
    squad_id: NonEmpty | None = None
    phone_number_id: NonEmpty | None = None
    schedule_plan: SchedulePlan | None = None
    max_concurrency: Annotated[WholeNumber, Field(ge=1, le=500)] | None = None
    assistant_overrides: Opaque | None = None
    squad_overrides: Opaque | None = None
    server: Server | None = None
    server_messages: list[ServerMessage] | None = None
    predial_plan: PredialPlan | None = None

    def spec_rules(self) -> list[str]:
        """One message for each rule on the target and the webhooks that is broken."""
        messages = []
        given = sum(x is not None for x in (self.assistant_id, self.workflow_id, self.squad_id))
        if given != 1:
            messages.append(f"exactly one of assistantId, workflowId or squadId is required, {given} were given")
        if self.predial_plan is not None and (self.server is None or self.server.url is None):
            messages.append("predialPlan needs server.url, which is asked before each call")
        if self.server is not None and self.server.url is not None and _UNPRINTED.search(self.server.url):
            # not in the URL's own pattern, since facts of before there was this rule must still be read
            messages.append("server.url must hold no whitespace and no control characters")
        return messages


class CampaignDraft(CampaignSpec):
    """A whole campaign as `POST /campaign` takes it: the spec and its contacts."""

    customers: Annotated[list[Contact], Field(min_length=1)] | None = None
    dial_plan: Annotated[list[DialPlanEntry], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _rules(self) -> "CampaignDraft":
        messages = self.spec_rules() + contact_rules(self.phone_number_id, self.customers, self.dial_plan)
        messages += count_rules(self.contact_count, MAX_CONTACTS_PER_REQUEST)
        if messages:
            raise broken(messages)
        return self

    @property
    def contact_count(self) -> int:
        return count_contacts(self.customers, self.dial_plan)


class CampaignHead(CampaignSpec):
    """A campaign whose contacts come beside it: as an upload, or copied from another campaign."""

    @model_validator(mode="after")
    def _rules(self) -> "CampaignHead":
        messages = self.spec_rules() + contact_rules(self.phone_number_id, (), None)
        if messages:
            raise broken(messages)
        return self


class CampaignCopy(CampaignSpec):
    """V2's create from another campaign: what is absent is copied, `customers` too; what is given wins, overrides key by key."""

    duplicate_from_campaign_id: NonEmpty
    customers: Annotated[list[Contact], Field(min_length=1)] | None = None


class AddedContacts(Wire):
    """Contacts for a campaign that has its own already."""

    customers: Annotated[list[Contact], Field(min_length=1, max_length=MAX_CONTACTS_PER_REQUEST)]


class CampaignEdit(Wire):
    """What `PATCH /campaign/{id}` takes; fields left out stay as they are, a new target replaces the old one."""

    name: str | None = None
    assistant_id: NonEmpty | None = None
    workflow_id: NonEmpty | None = None
    squad_id: NonEmpty | None = None
    phone_number_id: NonEmpty | None = None
    dial_plan: Annotated[list[DialPlanEntry], Field(min_length=1)] | None = None
    schedule_plan: SchedulePlan | None = None
    status: Literal["ended", "cancelled"] | None = None

    @model_validator(mode="after")
    def _rules(self) -> "CampaignEdit":
        messages = []
        if sum(x is not None for x in (self.assistant_id, self.workflow_id, self.squad_id)) > 1:
            messages.append("only one of assistantId, workflowId or squadId can be given")
        if self.phone_number_id is not None and self.dial_plan is not None:
            messages.append("phoneNumberId and dialPlan exclude each other")
        messages += count_rules(count_contacts(None, self.dial_plan), MAX_CONTACTS_PER_REQUEST)
        if messages:
            raise broken(messages)
        return self


def contact_rules(phone_number_id: str | None, customers: Any, dial_plan: Any) -> list[str]:
    """One message for each broken rule on `phoneNumberId` with `customers`, xor `dialPlan` (contract, "Requests")."""
    if dial_plan is not None:
        messages = []
        if phone_number_id is not None:
            messages.append("phoneNumberId and dialPlan exclude each other")
        if customers is not None:
            messages.append("customers and dialPlan exclude each other")
        return messages
    messages = []
    if phone_number_id is None:
        messages.append("phoneNumberId is required, unless dialPlan is given")
    if customers is None:
        messages.append("customers is required, unless dialPlan is given")
    return messages


def count_contacts(customers: list[Customer] | None, dial_plan: list[DialPlanEntry] | None) -> int:
    return len(customers or ()) + sum(len(entry.customers) for entry in dial_plan or ())


def count_rules(contacts: int, most: int) -> list[str]:
    return [f"at most {most} customers are taken at once, {contacts} were given"] if contacts > most else []
