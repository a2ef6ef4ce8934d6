"""Owns the checker's own fold of the log, written plainly and apart from `projections`: each event stands there once and in order.

It says what the calls and campaigns must look like, and which of I3 and I6 an event breaks.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_RANK = {"scheduled": 0, "queued": 1, "ringing": 2, "in-progress": 3, "forwarding": 4, "ended": 5}
_MOVES = {"CallRinging.v1": "ringing", "CallStarted.v1": "in-progress", "CallForwarded.v1": "forwarding"}
_TALKED = ("customer-ended-call", "assistant-ended-call", "voicemail")
_OVER = {"CampaignEnded.v1": "ended", "CampaignCancelled.v1": "cancelled"}


@dataclass(slots=True)
class Call:
    """A call as the log has it."""

    id: str
    campaign_id: str
    org_id: str
    position: int
    number: str
    status: str = "scheduled"
    contact_status: str = "contact.pending"
    attempt: int = 0
    claim_id: str | None = None
    claimant: str | None = None
    outcome_unknown: bool = False
    ended_reason: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    decided: str | None = None
    claims: Counter[int] = field(default_factory=Counter)
    was_unknown: bool = False

    @property
    def holds_a_slot(self) -> bool:
        return self.status not in ("scheduled", "ended")


@dataclass(slots=True)
class Campaign:
    """A campaign as the log has it; `told` lists the webhooks that its customer must get, in order."""

    id: str
    org_id: str
    created_name: str
    limit: int
    created_at: str
    wanted: frozenset[str]
    status: str = "scheduled"
    ended_reason: str | None = None
    paused: bool = False
    deleted: bool = False
    complete: bool = False
    started_at: str | None = None
    ended_at: str | None = None
    calls: list[Call] = field(default_factory=list)
    new_name: str | None = None
    active: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.new_name or self.created_name

    def tell(self, name: str) -> None:
        if name in self.wanted and self.complete:
            self.told.append(name)

    def counters(self) -> dict[str, int]:
        """What the read model's counters must be, by a recount."""
        statuses, contacts = Counter(call.status for call in self.calls), Counter(call.contact_status for call in self.calls)
        return {
            "calls_scheduled": statuses["scheduled"],
            "calls_queued": statuses["queued"],
            "calls_in_progress": statuses["ringing"] + statuses["in-progress"] + statuses["forwarding"],
            "calls_ended": statuses["ended"],
            "contacts_pending": contacts["contact.pending"],
            "contacts_dispatched": contacts["contact.dispatched"],
            "contacts_completed": contacts["contact.completed"],
            "contacts_failed": contacts["contact.failed"],
            "contacts_skipped": contacts["contact.skipped"],
            "contacts_predial_failed": contacts["contact.predial-failed"],
        }


@dataclass(slots=True)
class Fold:
    """All campaigns and calls of a stack; `faults` says what broke a rule while it was folded."""

    org_limit: int
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    answered: dict[str, list[str]] = field(default_factory=dict)
    """The events that name a command by `causationid`, by their types."""
    faults: list[str] = field(default_factory=list)
    _active: Counter[str] = field(default_factory=Counter)
    _last_at: dict[int, str] = field(default_factory=dict)

    def take(self, partition: int, event: dict[str, Any]) -> None:
        if event["time"] < self._last_at.get(partition, ""):
            self.faults.append(f"I6: time goes back on partition {partition} at event {event['id']}")
        self._last_at[partition] = event["time"]
        if "causationid" in event:
            self.answered.setdefault(event["causationid"], []).append(event["type"])
        kind, data, campaign_id = event["type"], event["data"], event.get("subject", "")
        if kind == "CampaignCreated.v1":
            self._created(campaign_id, event, data)
        campaign = self.campaigns.get(campaign_id)
        if campaign is None:
            return
        if "callid" in event:
            self._of_call(campaign, kind, event, data)
        else:
            self._of_campaign(campaign, kind, event, data)

    def _created(self, campaign_id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        if campaign_id in self.campaigns:
            self.faults.append(f"I6: campaign {campaign_id} was created twice")
        wanted = frozenset(data.get("serverMessages") or ()) if (data.get("server") or {}).get("url") else frozenset()
        self.campaigns[campaign_id] = Campaign(
            campaign_id, event["orgid"], data["name"], int(data["maxConcurrency"]), event["time"], wanted
        )

    def _of_campaign(self, campaign: Campaign, kind: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        match kind:
            case "ContactsCompleted.v1":
                campaign.complete = True
            case "CampaignStarted.v1":
                campaign.status, campaign.started_at = "in-progress", event["time"]
                campaign.tell("campaign.started")
            case "CampaignEnded.v1" | "CampaignCancelled.v1":
                if campaign.status not in ("scheduled", "in-progress"):
                    self.faults.append(f"I6: campaign {campaign.id} ends a second time")
                campaign.status, campaign.ended_reason, campaign.ended_at = _OVER[kind], data["endedReason"], event["time"]
                campaign.paused = False
                campaign.tell(f"campaign.{campaign.status}")
            case "CampaignPaused.v1" | "CampaignResumed.v1":
                campaign.paused = kind == "CampaignPaused.v1"
            case "CampaignUpdated.v1":
                campaign.new_name = data.get("name") or campaign.new_name
            case "CampaignArchived.v1":
                campaign.status = "archived"
                campaign.tell("campaign.archived")
            case "CampaignDeleted.v1":
                campaign.deleted = True

    def _of_call(self, campaign: Campaign, kind: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        call_id = event["callid"]
        if kind == "CallScheduled.v1":
            if call_id in self.calls:
                self.faults.append(f"I6: call {call_id} was scheduled twice")
            call = Call(call_id, campaign.id, campaign.org_id, data["position"], data["customer"].get("number", ""))
            self.calls[call_id] = call
            campaign.calls.append(call)
            return
        call = self.calls[call_id]
        held = call.holds_a_slot
        if call.status == "ended" and kind != "CallAnalyzed.v1":
            self.faults.append(f"I6: {kind} after the end of call {call_id}")
        self._change(campaign, call, kind, event, data)
        self._count(campaign, call.holds_a_slot - held)

    def _change(self, campaign: Campaign, call: Call, kind: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        match kind:
            case "CallQueued.v1":
                if call.status == "scheduled":
                    call.contact_status = "contact.dispatched"
                    campaign.tell("contact.dispatched")
                self._move(call, "queued", data)
                call.claim_id = call.claimant = None
                call.outcome_unknown = False
            case "CallClaimed.v1":
                if call.claim_id is not None or campaign.paused or campaign.status not in ("scheduled", "in-progress"):
                    self.faults.append(f"I2: a claim of call {call.id} was granted that must not be")
                call.claim_id, call.claimant = event["causationid"], data["claimant"]
                call.claims[data["attempt"]] += 1
            case "CallPlaced.v1":
                call.outcome_unknown = False
            case "CallRinging.v1" | "CallStarted.v1" | "CallForwarded.v1":
                self._move(call, _MOVES[kind], data)
                call.started_at = data.get("startedAt") or call.started_at
                call.outcome_unknown = False
            case "CallOutcomeUnknown.v1":
                call.outcome_unknown = call.was_unknown = True
            case "ContactSkipped.v1" | "PredialFailed.v1":
                call.decided = call.contact_status = "contact.skipped" if kind == "ContactSkipped.v1" else "contact.predial-failed"
                campaign.tell(call.decided)
            case "CallEnded.v1":
                self._end(campaign, call, data)

    def _move(self, call: Call, status: str, data: dict[str, Any]) -> None:
        if _RANK[status] < _RANK[call.status] or data["attempt"] < call.attempt:
            self.faults.append(f"I6: call {call.id} goes back from {call.status}, attempt {call.attempt}, to {status}, {data['attempt']}")
        call.status, call.attempt = status, data["attempt"]

    def _end(self, campaign: Campaign, call: Call, data: dict[str, Any]) -> None:
        reason = data["endedReason"]
        talked = _RANK[call.status] >= _RANK["in-progress"] or data.get("startedAt") is not None
        call.status, call.ended_reason, call.ended_at = "ended", reason, data["endedAt"]
        call.attempt = max(call.attempt, data.get("attempt", 0))
        call.started_at = data.get("startedAt") or call.started_at
        call.outcome_unknown = False
        if call.decided is None:
            call.contact_status = _contact_status(reason, talked)
            campaign.tell(call.contact_status)

    def _count(self, campaign: Campaign, change: int) -> None:
        campaign.active += change
        self._active[campaign.org_id] += change
        if campaign.active > campaign.limit:
            self.faults.append(f"I3: campaign {campaign.id} has {campaign.active} calls at once, its limit is {campaign.limit}")
        if self._active[campaign.org_id] > self.org_limit:
            self.faults.append(
                f"I3: org {campaign.org_id} has {self._active[campaign.org_id]} calls at once, its limit is {self.org_limit}"
            )

    def unsettled(self) -> Iterable[str]:
        """Calls under way that are neither over nor known to be unknown, and those that wait though their campaign may dial."""
        full = {org for org, active in self._active.items() if active >= self.org_limit}
        for campaign in self.campaigns.values():
            may_dial = campaign.complete and not campaign.paused and campaign.org_id not in full and campaign.active < campaign.limit
            for call in campaign.calls:
                if call.holds_a_slot and not call.outcome_unknown and not (campaign.paused and call.claim_id is None):
                    yield f"call {call.id} is {call.status}, attempt {call.attempt}, claim {call.claim_id}"
                elif call.status == "scheduled" and may_dial:
                    yield f"call {call.id} is not dialed"


def _contact_status(reason: str, talked: bool) -> str:
    if reason == "scheduled-call-deleted":
        return "contact.skipped"
    if reason.startswith(("call.start.error-", "call.in-progress.error-", "pipeline-error-")):
        return {
            "call.start.error-predial-not-eligible": "contact.skipped",
            "call.start.error-predial-failed": "contact.predial-failed",
        }.get(reason, "contact.failed")
    if reason in ("customer-busy", "customer-did-not-answer", "unknown-error"):
        return "contact.failed"
    return "contact.completed" if talked or reason in _TALKED else "contact.failed"
