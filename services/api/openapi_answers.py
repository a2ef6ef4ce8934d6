"""Owns the models of what the API answers, for the document that describes it; `answers` makes the answers themselves."""

from typing import Any, Literal

from events.calls import CallStatus, ContactStatus
from events.campaign_state import CallCounters, CallMetrics, CampaignStatus, ContactCounters, Count
from events.campaigns import CampaignSpec
from events.contacts import Customer, DialPlanEntry
from events.facts import CampaignEndedReason
from events.instants import Instant
from events.webhooks import DeadWebhook
from events.wire import Wire


class CampaignIdentity(CampaignSpec):
    id: str
    org_id: str
    status: CampaignStatus
    ended_reason: CampaignEndedReason | None = None
    paused: bool | None = None
    created_at: Instant
    updated_at: Instant


class CampaignCall(Wire):
    """A call as the map `calls` holds it."""

    id: str
    customer: Customer
    status: CallStatus
    ended_reason: str | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    analysis: dict[str, Any] | None = None


class Campaign(CallCounters, CampaignIdentity):
    """The whole campaign. `calls` maps each call's id to the call, or to its JSON as a string where the installation says so.

    In lists `calls` is empty, and `customers` and `dialPlan` are left out.
    """

    customers: list[Customer] | None = None
    dial_plan: list[DialPlanEntry] | None = None
    calls: dict[str, CampaignCall | str]


class UploadedCampaign(CallCounters, CampaignIdentity):
    """A campaign that was created with an upload, as in a list; `errors` says what was wrong with the lines that were passed over."""

    calls: dict[str, CampaignCall | str]
    lines_skipped: int | None = None
    errors: list[str] | None = None


class ContactsAdded(Wire):
    """How many contacts were added; `errors` says what was wrong with the lines that were passed over, if any."""

    campaign_id: str
    contacts_added: int
    lines_skipped: int | None = None
    errors: list[str] | None = None


class CampaignSummary(CampaignIdentity):
    """A campaign without its contacts; the counters are there when `includeCounters` asks for them."""

    contact_counters: ContactCounters | None = None
    call_metrics: CallMetrics | None = None


class CampaignContact(Wire):
    """One contact and what became of it; `callId` is there once it was dispatched."""

    id: str
    number: str
    name: str | None = None
    status: ContactStatus
    call_id: str | None = None
    dispatched_at: Instant | None = None
    ended_reason: str | None = None


class Call(CampaignCall):
    """A call by itself; `cost` is in US dollars, as the provider says it."""

    org_id: str
    campaign_id: str
    type: Literal["outboundPhoneCall"]
    created_at: Instant
    updated_at: Instant
    assistant_id: str | None = None
    workflow_id: str | None = None
    squad_id: str | None = None
    phone_number_id: str | None = None
    cost: float | None = None


class WebhooksReplayed(Wire):
    """How many webhooks were dead and are sent again; `id` names the request."""

    id: str
    webhooks_replayed: Count


class PageMetadata(Wire):
    """Which page this is, and of how many items."""

    items_per_page: Count
    total_items: Count
    current_page: Count
    total_pages: Count
    has_next_page: bool
    sort_order: Literal["ASC", "DESC"]


class CampaignPage(Wire):
    results: list[Campaign]
    metadata: PageMetadata


class CampaignSummaryPage(Wire):
    results: list[CampaignSummary]
    metadata: PageMetadata


class ContactResult(CampaignContact):
    """What became of a contact: a line of a campaign's results; `cost` is in US dollars, as the provider says it."""

    customer: Customer
    call_status: CallStatus
    started_at: Instant | None = None
    ended_at: Instant | None = None
    cost: float | None = None
    analysis: dict[str, Any] | None = None


class CampaignContactPage(Wire):
    results: list[CampaignContact]
    metadata: PageMetadata


class DeadWebhookPage(Wire):
    results: list[DeadWebhook]
    metadata: PageMetadata


class Refusal(Wire):
    """Why the request was not carried out: one text, or a list with one text for each broken rule."""

    message: str | list[str]
    error: str
    status_code: int


class Readiness(Wire):
    """Whether the process can do its work; `missing` says what is not there, by name."""

    status: Literal["ok", "not ready"]
    missing: dict[str, str] | None = None
