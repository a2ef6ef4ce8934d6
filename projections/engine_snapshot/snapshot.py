"""Owns the shape of what the engine starts a partition from (design, "Taking a partition over (the engine)")."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CampaignSnapshot:
    """A campaign of the partition, whatever its status. Instants are aware UTC.

    `total` is the position that the next contact gets; `scheduled` calls are pending, the last ones in the order of
    positions, so the next to dial is at `total - scheduled`. `complete` says that `ContactsCompleted` closed the contacts.
    """

    campaign_id: str
    org_id: str
    status: str
    paused: bool
    deleted: bool
    complete: bool
    has_dial_plan: bool
    parts: int
    parts_received: int
    contacts_due_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None
    max_concurrency: int
    first_position: int
    total: int
    scheduled: int
    retry_until: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """A call that holds a slot, or one that ended and whose final report is still awaited until `report_due_at`."""

    call_id: str
    campaign_id: str
    status: str
    attempt: int
    claim_id: str | None
    provider: str | None
    placed: bool
    outcome_unknown: bool
    outcome_due_at: datetime | None
    ends_by: datetime | None
    started_at: datetime | None
    report_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class HandledCommand:
    """A user's command that was handled: what it yielded first, and when."""

    org_id: str
    command_id: str
    campaign_id: str | None
    first_type: str
    first_at: datetime
    request_hash: str | None


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """One partition as it stood right before the event at `next_offset`, read in one transaction.

    `active_calls` also holds the ended calls whose final report is awaited. All lists are in a fixed order: campaigns by
    (`created_at`, `campaign_id`), calls by (`campaign_id`, `position`), commands by (`first_at`, `org_id`, `command_id`).
    """

    next_offset: int
    last_event_at: datetime | None
    campaigns: list[CampaignSnapshot]
    active_calls: list[CallSnapshot]
    handled: list[HandledCommand]
