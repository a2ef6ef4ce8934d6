"""Owns the rows of campaigns and calls as the folds change them; the fields stand as the tables' columns do."""

from dataclasses import dataclass, fields
from typing import NamedTuple


@dataclass(slots=True)
class CampaignRow:
    """See `projections.store.tables` for what the fields mean; instants are `iso` text, `spec` is JSON text."""

    id: str
    org_id: str
    partition: int
    status: str
    ended_reason: str | None
    paused: bool
    shown: bool
    complete: bool
    deleted: bool
    spec: str
    has_dial_plan: bool
    parts: int
    parts_received: int
    contacts_due_at: str | None
    first_position: int
    total: int
    retry_until: str | None
    created_at: str
    updated_at: str
    started_at: str | None
    ended_at: str | None
    edited_at: str | None
    edited_by: str | None
    version: int
    calls_scheduled: int = 0
    calls_queued: int = 0
    calls_in_progress: int = 0
    calls_ended: int = 0
    calls_ended_voicemail: int = 0
    contacts_pending: int = 0
    contacts_dispatched: int = 0
    contacts_completed: int = 0
    contacts_failed: int = 0
    contacts_skipped: int = 0
    contacts_predial_failed: int = 0
    dialed: int = 0
    connected: int = 0
    cost_micros: int = 0


class ContactRow(NamedTuple):
    """The columns of a call that never change, written once; `customer` is JSON text."""

    id: str
    campaign_id: str
    partition: int
    position: int
    entry: int | None
    phone_number_id: str | None
    customer: str
    created_at: str


@dataclass(slots=True)
class CallRow:
    """The columns of a call that its events change, and the two that say whose it is; `analysis` is JSON text."""

    id: str
    campaign_id: str
    status: str = "scheduled"
    contact_status: str = "contact.pending"
    attempt: int = 0
    claim_id: str | None = None
    claimant: str | None = None
    placed: bool = False
    outcome_unknown: bool = False
    outcome_due_at: str | None = None
    ends_by: str | None = None
    provider: str | None = None
    provider_call_id: str | None = None
    ended_reason: str | None = None
    dispatched_at: str | None = None
    queued_at: str | None = None
    queued_by: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    report_due_at: str | None = None
    cost: float | None = None
    analysis: str | None = None
    updated_at: str = ""


CAMPAIGN_COLUMNS = tuple(field.name for field in fields(CampaignRow))
CALL_COLUMNS = tuple(field.name for field in fields(CallRow))
CALL_STATE_COLUMNS = CALL_COLUMNS[2:]
COUNTERS = CAMPAIGN_COLUMNS[CAMPAIGN_COLUMNS.index("calls_scheduled") :]
