"""Owns what a record of `campaign-state` says: the newest summary of one campaign; a deleted campaign's record has no value."""

from typing import Annotated, Literal

from pydantic import Field

from events.campaigns import CampaignSpec
from events.facts import CampaignEndedReason
from events.instants import Instant
from events.wire import WholeNumber, Wire

CampaignStatus = Literal["scheduled", "in-progress", "ended", "cancelled", "archived"]
Count = Annotated[WholeNumber, Field(ge=0)]


class ContactCounters(Wire):
    """How many contacts are in each state now."""

    pending: Count
    dispatched: Count
    completed: Count
    failed: Count
    skipped: Count
    predial_failed: Count


class CallMetrics(Wire):
    """`dialed`: contacts a call was placed for; `connected`: those a human picked up, voicemail is not one."""

    dialed: Count
    connected: Count


class CallCounters(Wire):
    """How many calls are in each state now; `callsCounterEnded` counts those ended by voicemail too."""

    calls_counter_scheduled: Count
    calls_counter_queued: Count
    calls_counter_in_progress: Count
    calls_counter_ended: Count
    calls_counter_ended_voicemail: Count


class CampaignState(CallCounters, CampaignSpec):
    """A campaign as of one version, which grows with every change.

    Where the record would be too large, `assistantOverrides`, `squadOverrides` and `server` are left out; where that is not enough,
    `serverMessages` too, and `name` is cut to 1,000 characters.
    """

    id: str
    org_id: str
    status: CampaignStatus
    version: Count
    ended_reason: CampaignEndedReason | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    paused: bool | None = None
    contact_counters: ContactCounters
    call_metrics: CallMetrics
    created_at: Instant
    updated_at: Instant
