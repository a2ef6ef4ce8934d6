"""Owns what the engine knows of one partition: orgs, campaigns, the calls under way, and the commands it has handled.

A campaign's pending calls are a range of positions, not objects: a million of them cost nothing.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from events.campaigns import OVER
from events.topics import COMMAND_IDS_KEPT
from services.engine.decider.deadlines import Deadline, Deadlines


@dataclass(slots=True)
class CallState:
    """A call that holds a slot: queued, ringing, in-progress or forwarding."""

    id: str
    campaign_id: str
    status: str
    attempt: int
    claim_id: str | None = None
    provider: str | None = None
    placed: bool = False
    outcome_unknown: bool = False
    outcome_due_at: datetime | None = None
    ends_by: datetime | None = None
    started_at: datetime | None = None

    @property
    def awaits_claim(self) -> bool:
        return self.status == "queued" and self.claim_id is None

    @property
    def is_dialed(self) -> bool:
        """Whether the provider has the call, or may have it for all that is known."""
        return self.placed or self.outcome_unknown

    def next_deadline(self) -> datetime | None:
        """When the call must be looked at: for its missing outcome first, then for its end."""
        if self.outcome_due_at is not None and not self.placed and not self.outcome_unknown:
            return self.outcome_due_at
        return self.ends_by


@dataclass(slots=True)
class CampaignState:
    """A campaign; positions `next_position` to `total - 1` are its pending calls, in order."""

    id: str
    org_id: str
    created_at: datetime
    max_concurrency: int
    created_by: str | None = None
    status: str = "scheduled"
    paused: bool = False
    deleted: bool = False
    complete: bool = False
    has_dial_plan: bool = False
    parts: int = 0
    parts_received: int = 0
    contacts_due_at: datetime | None = None
    earliest_at: datetime | None = None
    latest_at: datetime | None = None
    retry_until: datetime | None = None
    first_position: int = 0
    next_position: int = 0
    total: int = 0
    calls: dict[str, CallState] = field(default_factory=dict)

    @property
    def pending(self) -> int:
        return self.total - self.next_position

    @property
    def is_over(self) -> bool:
        return self.deleted or self.status in OVER

    def is_too_late(self, now: datetime) -> bool:
        """Whether none of its calls may be placed any more."""
        return self.latest_at is not None and now >= self.latest_at

    @property
    def is_open(self) -> bool:
        """Whether the engine may still have something to decide for it by itself."""
        return not self.is_over or self.pending > 0

    def deadlines(self) -> Iterator[datetime]:
        if self.is_over:
            return
        if not self.complete:
            if self.contacts_due_at is not None:
                yield self.contacts_due_at
            return
        for at in (self.earliest_at, self.latest_at, self.retry_until):
            if at is not None:
                yield at


@dataclass(slots=True)
class OrgState:
    """An org's open campaigns in the order of their creation, its active calls over all campaigns, and how many of those are dialed."""

    id: str
    active: int = 0
    dialed: int = 0
    open: dict[str, CampaignState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Handled:
    """What a user's command yielded first."""

    type_name: str
    at: datetime
    campaign_id: str | None
    request_hash: str | None = None

    def is_of_another_request(self, request_hash: str | None) -> bool:
        """Whether a command of the same id asks something else; one without a hash is taken at its word."""
        return None not in (self.request_hash, request_hash) and self.request_hash != request_hash


@dataclass(frozen=True, slots=True)
class AwaitedReport:
    """A call that ended before its final report came, which is taken until `due_at`."""

    campaign_id: str
    attempt: int
    due_at: datetime


@dataclass(slots=True)
class PartitionState:
    """All of it. `stirred` names the orgs for which `advance` may have something to decide."""

    last_event_at: datetime | None = None
    orgs: dict[str, OrgState] = field(default_factory=dict)
    campaigns: dict[str, CampaignState] = field(default_factory=dict)
    handled: OrderedDict[tuple[str, str], Handled] = field(default_factory=OrderedDict)
    awaited: OrderedDict[str, AwaitedReport] = field(default_factory=OrderedDict)
    deadlines: Deadlines = field(default_factory=Deadlines)
    stirred: dict[str, None] = field(default_factory=dict)

    def org(self, org_id: str) -> OrgState:
        return self.orgs.setdefault(org_id, OrgState(org_id))

    def campaign_of(self, org_id: str, campaign_id: str | None) -> CampaignState | None:
        """The org's campaign; `None` for one that does not exist, is deleted, or belongs to another org."""
        campaign = self.campaigns.get(campaign_id or "")
        return campaign if campaign is not None and campaign.org_id == org_id and not campaign.deleted else None

    def call_of(self, org_id: str, campaign_id: str | None, call_id: str | None) -> tuple[CampaignState, CallState] | None:
        """The active call, also of a campaign that is over or deleted; `None` where the org has no such call."""
        campaign = self.campaigns.get(campaign_id or "")
        if campaign is None or campaign.org_id != org_id:
            return None
        call = campaign.calls.get(call_id or "")
        return None if call is None else (campaign, call)

    def stir(self, org_id: str) -> None:
        self.stirred[org_id] = None

    def live_deadlines(self) -> list[Deadline]:
        """Every deadline that still holds; what the heap is built from."""
        found = []
        for org in self.orgs.values():
            for campaign in org.open.values():
                found += [Deadline(at, "campaign", campaign.id, "") for at in campaign.deadlines()]
        for campaign in self.campaigns.values():
            for call in campaign.calls.values():
                at = call.next_deadline()
                if at is not None:
                    found.append(Deadline(at, "call", campaign.id, call.id))
        return found

    def drop_stale_deadlines(self) -> None:
        """Whoever folds many events without heeding deadlines asks for this now and then: each call leaves some behind."""
        if self.deadlines.is_overgrown:
            self.deadlines.rebuild(self.live_deadlines())

    def forget(self, now: datetime) -> None:
        """Drop what is remembered for a time only; the time is an event's, so that every replay forgets alike."""
        while self.handled and next(iter(self.handled.values())).at < now - COMMAND_IDS_KEPT:
            self.handled.popitem(last=False)
        while self.awaited and next(iter(self.awaited.values())).due_at < now:
            self.awaited.popitem(last=False)
