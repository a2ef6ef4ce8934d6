"""Owns what a campaign is: its target, number, schedule, limits and webhooks as the contract takes them."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from events.contacts import Contact, Contacts, DialPlan, broken
from events.instants import Instant
from events.lists import in_blocks
from events.wire import NonEmpty, Opaque, WholeNumber, Wire

DEFAULT_MAX_CONCURRENCY = 10
MAX_CONTACTS_PER_REQUEST = 10_000
MAX_CONTACTS_PER_COMMAND = 4_000
"""An engine transaction holds at most 5,000 events, and each contact of a command becomes one (design, "Commands and events")."""

MAX_LISTED = 500
"""How many names, paths or codes a list of the campaign may hold: there are no more status codes, and no use for more of the others."""

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
    excluded_status_codes: Annotated[list[WholeNumber], in_blocks(of=100)] | None = None

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
    encrypted_paths: Annotated[list[str], in_blocks(of=100)] | None = None


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
    server_messages: Annotated[list[ServerMessage], in_blocks(of=100)] | None = None
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
        return messages + self._list_rules()

    def _list_rules(self) -> list[str]:
        """Rules for what is taken alone: a fact of an older release may hold what they refuse."""
        server = self.server or Server()
        codes = server.backoff_plan.excluded_status_codes if server.backoff_plan else None
        lists = {
            "serverMessages": self.server_messages,
            "server.encryptedPaths": server.encrypted_paths,
            "server.backoffPlan.excludedStatusCodes": codes,
        }
        messages = [f"{path} must hold at most {MAX_LISTED}" for path, listed in lists.items() if len(listed or ()) > MAX_LISTED]
        if any(not 100 <= code <= 599 for code in codes or ()):
            messages.append("server.backoffPlan.excludedStatusCodes must hold HTTP status codes only, from 100 to 599")
        return messages


class Counted(Wire):
    """What may hold contacts, in a bounded number.

    They are counted before they are looked at, so that too many cost no more than that.
    """

    max_contacts: ClassVar[int] = MAX_CONTACTS_PER_REQUEST

    @model_validator(mode="before")
    @classmethod
    def _not_too_many(cls, value: Any) -> Any:
        if isinstance(value, dict):
            messages = count_rules(value.get("customers"), value.get("dialPlan", value.get("dial_plan")), cls.max_contacts)
            if messages:
                raise broken(messages)
        return value


class CampaignDraft(CampaignSpec, Counted):
    """A whole campaign as `POST /campaign` takes it: the spec and its contacts."""

    customers: Contacts | None = None
    dial_plan: DialPlan | None = None

    @model_validator(mode="after")
    def _rules(self) -> "CampaignDraft":
        messages = self.spec_rules() + contact_rules(self.phone_number_id, self.customers, self.dial_plan)
        if messages:
            raise broken(messages)
        return self


class CampaignHead(CampaignSpec):
    """A campaign whose contacts come beside it: as an upload, or copied from another campaign."""

    @model_validator(mode="after")
    def _rules(self) -> "CampaignHead":
        messages = self.spec_rules() + contact_rules(self.phone_number_id, (), None)
        if messages:
            raise broken(messages)
        return self


class CampaignCopy(CampaignSpec, Counted):
    """V2's create from another campaign: what is absent is copied, `customers` too; what is given wins, overrides key by key."""

    duplicate_from_campaign_id: NonEmpty
    customers: Contacts | None = None


class AddedContacts(Counted):
    """Contacts for a campaign that has its own already."""

    customers: Annotated[list[Contact], Field(min_length=1, max_length=MAX_CONTACTS_PER_REQUEST), in_blocks(of=10)]


class CampaignEdit(Counted):
    """What `PATCH /campaign/{id}` takes; fields left out stay as they are, a new target replaces the old one."""

    name: str | None = None
    assistant_id: NonEmpty | None = None
    workflow_id: NonEmpty | None = None
    squad_id: NonEmpty | None = None
    phone_number_id: NonEmpty | None = None
    dial_plan: DialPlan | None = None
    schedule_plan: SchedulePlan | None = None
    status: Literal["ended", "cancelled"] | None = None

    @model_validator(mode="after")
    def _rules(self) -> "CampaignEdit":
        messages = []
        if sum(x is not None for x in (self.assistant_id, self.workflow_id, self.squad_id)) > 1:
            messages.append("only one of assistantId, workflowId or squadId can be given")
        if self.phone_number_id is not None and self.dial_plan is not None:
            messages.append("phoneNumberId and dialPlan exclude each other")
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


def count_rules(customers: Any, dial_plan: Any, most: int) -> list[str]:
    """One message where more contacts are given than are taken; what is no list of contacts is not this rule's to tell."""
    entries = _listed(dial_plan)
    if len(entries) > most:
        return [f"dialPlan must hold at most {most} entries, {len(entries)} were given"]
    contacts = len(_listed(customers)) + sum(len(_listed(_customers_of(entry))) for entry in entries)
    return [f"at most {most} customers are taken at once, {contacts} were given"] if contacts > most else []


def _customers_of(entry: Any) -> Any:
    return entry.get("customers") if isinstance(entry, dict) else getattr(entry, "customers", None)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
