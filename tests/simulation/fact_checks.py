"""Owns what must hold of campaigns and calls by their facts, by an own small reading of them: I2's grants, I3 and I6."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from events.calls import RANK, STATUS_AFTER
from services.engine.decider.policy import Policy


@dataclass(slots=True)
class SeenCall:
    """A call by its facts. `settled`: its present claim has an outcome."""

    status: str = "scheduled"
    claim: str | None = None
    claimed_at: float = 0.0
    settled: bool = False


@dataclass(slots=True)
class SeenCampaign:
    """A campaign by its facts."""

    org_id: str
    limit: int
    paused: bool = False
    over: bool = False
    calls: dict[str, SeenCall] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)


@dataclass(slots=True)
class FactChecks:
    """`report` is told what is broken; `has_call` says whether the provider took the call for this attempt."""

    policy: Policy
    report: Callable[[str], None]
    time: Callable[[], float]
    has_call: Callable[[str, int], bool]
    campaigns: dict[str, SeenCampaign] = field(default_factory=dict)
    granted: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Campaign and call of every claim that was ever granted."""
    unknown: int = 0
    _active: Counter[str] = field(default_factory=Counter)

    def fact(self, event: dict[str, Any]) -> None:
        type_name, campaign_id = event["type"], event["subject"]
        campaign = self.campaigns.get(campaign_id)
        if type_name == "CampaignCreated.v1":
            if campaign is not None:
                self.report(f"I1: the campaign {campaign_id} was created twice")
            self.campaigns[campaign_id] = SeenCampaign(event["orgid"], event["data"]["maxConcurrency"])
        elif campaign is None:
            self.report(f"I6: {type_name} of a campaign that was never created")
        elif "callid" in event:
            self._call(type_name, event, campaign)
        elif type_name in _CAMPAIGN:
            _CAMPAIGN[type_name](self, campaign, event)

    def _over(self, campaign: SeenCampaign, event: dict[str, Any]) -> None:
        if campaign.over:
            self.report(f"I6: {event['type']} of a campaign that is over")
        campaign.over = True

    def _deleted(self, campaign: SeenCampaign, event: dict[str, Any]) -> None:
        campaign.over = True

    def _paused(self, campaign: SeenCampaign, event: dict[str, Any]) -> None:
        campaign.paused = True

    def _resumed(self, campaign: SeenCampaign, event: dict[str, Any]) -> None:
        campaign.paused = False

    def _updated(self, campaign: SeenCampaign, event: dict[str, Any]) -> None:
        if event["data"].get("replacesContacts"):
            campaign.calls.clear()

    def _call(self, type_name: str, event: dict[str, Any], campaign: SeenCampaign) -> None:
        call_id = event["callid"]
        call = campaign.calls.get(call_id)
        if type_name == "CallScheduled.v1":
            if call is not None:
                self.report(f"I1: the call {call_id} was scheduled twice")
            campaign.calls[call_id] = SeenCall()
        elif call is None:
            self.report(f"I6: {type_name} of the call {call_id}, which its campaign never had")
        elif call.status == "ended":
            if type_name != "CallAnalyzed.v1":
                self.report(f"I6: {type_name} of a call that has ended")
        else:
            self._move(type_name, call)
            fold = _CALL.get(type_name)
            if fold is not None:
                fold(self, campaign, call, event)

    def _move(self, type_name: str, call: SeenCall) -> None:
        status = STATUS_AFTER.get(type_name)
        if status is None:
            return
        if RANK[status] < RANK[call.status] or (RANK[status] == RANK[call.status] and status != "queued"):
            self.report(f"I6: a call went from {call.status} to {status}")
        call.status = status

    def _queued(self, campaign: SeenCampaign, call: SeenCall, event: dict[str, Any]) -> None:
        call_id, org_id = event["callid"], campaign.org_id
        if self.has_call(call_id, event["data"]["attempt"]):
            self.report("I2: a call that the provider has is offered again")
        call.claim, call.settled = None, False
        if call_id in campaign.active:
            return
        campaign.active.add(call_id)
        self._active[org_id] += 1
        if len(campaign.active) > campaign.limit:
            self.report(f"I3: {len(campaign.active)} active calls of a campaign whose limit is {campaign.limit}")
        if self._active[org_id] > self.policy.limit_of(org_id):
            self.report(f"I3: {self._active[org_id]} active calls of an org whose limit is {self.policy.limit_of(org_id)}")

    def _claimed(self, campaign: SeenCampaign, call: SeenCall, event: dict[str, Any]) -> None:
        if campaign.paused or campaign.over:
            self.report("I3: a claim is granted after a pause or stop")
        if call.claim is not None:
            self.report("I2: a call is claimed while another claim stands")
        call.claim, call.settled, call.claimed_at = event["causationid"], False, self.time()
        self.granted[event["causationid"]] = (event["subject"], event["callid"])

    def _unknown(self, campaign: SeenCampaign, call: SeenCall, event: dict[str, Any]) -> None:
        call.settled = True
        self.unknown += 1

    def _settled(self, campaign: SeenCampaign, call: SeenCall, event: dict[str, Any]) -> None:
        call.settled = True

    def _ended(self, campaign: SeenCampaign, call: SeenCall, event: dict[str, Any]) -> None:
        call.settled = True
        if event["callid"] in campaign.active:
            campaign.active.discard(event["callid"])
            self._active[campaign.org_id] -= 1

    def without_outcome(self, granted_before: float) -> list[str]:
        """The calls whose claim was granted before this moment and is neither final nor unknown."""
        return [
            call_id
            for campaign in self.campaigns.values()
            for call_id, call in campaign.calls.items()
            if call.claim is not None and not call.settled and call.claimed_at < granted_before
        ]

    def unfinished(self) -> list[str]:
        """The campaigns that neither are over nor stand still because a user paused them, or others whose calls keep the org's slots."""
        going_on = {id: c for id, c in self.campaigns.items() if not c.paused}
        return [id for id, c in going_on.items() if c.active or not (c.over or self._is_full_of_paused(c.org_id))]

    def _is_full_of_paused(self, org_id: str) -> bool:
        """Whether the org would have room without the queued calls of its paused campaigns, and has none with them."""
        paused = [c for c in self.campaigns.values() if c.org_id == org_id and c.paused]
        idle = sum(c.calls[call_id].status == "queued" and c.calls[call_id].claim is None for c in paused for call_id in c.active)
        return idle > 0 and self._active[org_id] >= self.policy.limit_of(org_id)


_CAMPAIGN: dict[str, Callable[[FactChecks, SeenCampaign, dict[str, Any]], None]] = {
    "CampaignEnded.v1": FactChecks._over,
    "CampaignCancelled.v1": FactChecks._over,
    "CampaignDeleted.v1": FactChecks._deleted,
    "CampaignPaused.v1": FactChecks._paused,
    "CampaignResumed.v1": FactChecks._resumed,
    "CampaignUpdated.v1": FactChecks._updated,
}
_CALL: dict[str, Callable[[FactChecks, SeenCampaign, SeenCall, dict[str, Any]], None]] = {
    "CallQueued.v1": FactChecks._queued,
    "CallClaimed.v1": FactChecks._claimed,
    "CallOutcomeUnknown.v1": FactChecks._unknown,
    "CallPlaced.v1": FactChecks._settled,
    "CallRinging.v1": FactChecks._settled,
    "CallStarted.v1": FactChecks._settled,
    "CallForwarded.v1": FactChecks._settled,
    "CallEnded.v1": FactChecks._ended,
}
