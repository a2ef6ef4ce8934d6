"""Owns what the engine decides by itself as time passes and slots come free (contract, "Scheduling").

Calls begin in the order of the customers, as a sliding window: the moment a call ends the next is dispatched, while the
campaign's and the org's limits both hold. Where the org's limit holds, the campaign with the fewest active calls comes first.
"""

import heapq
from datetime import datetime, timedelta

from events import facts
from events.calls import DELETED, LATEST_AT_PASSED, ORG_LIMIT_REACHED, OUTCOME_UNKNOWN
from events.commands import CreateCampaign
from events.envelope import Event
from events.ids import call_id_of
from services.engine.decider.call_commands import outcome_unknown
from services.engine.decider.evolve import evolve
from services.engine.decider.outcomes import call_ended, incomplete
from services.engine.decider.policy import Policy
from services.engine.decider.state import CampaignState, OrgState, PartitionState

_MOST_DECIDED = 500
"""In one step of one org, so that what is over there, one large campaign or many, does not hold up the other orgs."""
_HOLD_ENDS = timedelta(minutes=1)
"""For so long after its hour a hold still counts as the same one."""


def advance(state: PartitionState, now: datetime, policy: Policy, limit: int) -> list[Event]:
    """The events that are due at `now`, already folded into `state`, at most `limit` (at least 4); empty when nothing is left to decide.

    What `limit` cuts off comes with the next call: deadlines and stirred orgs stay until they are done with.
    """
    events: list[Event] = []
    _heed_deadlines(state, now, events, limit)
    while state.stirred and len(events) < limit - 3:
        # an org with more to do is stirred again by its own events, behind the others
        org_id = next(iter(state.stirred))
        del state.stirred[org_id]
        _record(state, _org_step(state.org(org_id), now, policy, limit - len(events)), events)
    return events


def _record(state: PartitionState, step: list[Event], events: list[Event]) -> None:
    for event in step:
        evolve(state, event)
    events += step


def _heed_deadlines(state: PartitionState, now: datetime, events: list[Event], limit: int) -> None:
    state.drop_stale_deadlines()
    while len(events) < limit - 3:
        deadline = state.deadlines.pop_due(now)
        if deadline is None:
            return
        campaign = state.campaigns[deadline.campaign_id]
        if deadline.kind == "call":
            _record(state, _call_due(campaign, deadline.call_id, now), events)
        else:
            state.stir(campaign.org_id)


def _call_due(campaign: CampaignState, call_id: str, now: datetime) -> list[Event]:
    call = campaign.calls.get(call_id)
    due_at = call.next_deadline() if call is not None else None
    if call is None or due_at is None or due_at > now:
        return []
    if call.ends_by is not None and call.ends_by <= now:
        return [call_ended(campaign, call, now, OUTCOME_UNKNOWN)]
    return [outcome_unknown(campaign, call, now)]


def _org_step(org: OrgState, now: datetime, policy: Policy, limit: int) -> list[Event]:
    """The next few events of one org; folding them and asking again gives the rest. What may be dialed comes first."""
    events = _dispatch(org, now, policy, limit)
    if events:
        return events
    room = min(limit, _MOST_DECIDED)
    for campaign in org.open.values():
        if len(events) > room - 4:
            break
        events += _campaign_step(campaign, now, room - len(events))
    return events


def _campaign_step(campaign: CampaignState, now: datetime, limit: int) -> list[Event]:
    if campaign.is_over:
        return _drop_pending(campaign, now, DELETED, limit)
    if not campaign.complete:
        return _incomplete(campaign, now)
    if campaign.pending and campaign.is_too_late(now):
        return _drop_pending(campaign, now, ORG_LIMIT_REACHED if _is_held(campaign, now) else LATEST_AT_PASSED, limit)
    if not campaign.pending and not campaign.calls:
        return [Event(campaign.org_id, now, facts.CampaignEnded(ended_reason="campaign.ended.success"), campaign.id)]
    return []


def _drop_pending(campaign: CampaignState, now: datetime, ended_reason: str, limit: int) -> list[Event]:
    positions = range(campaign.next_position, min(campaign.total, campaign.next_position + limit))
    ended = facts.CallEnded(ended_reason=ended_reason, ended_at=now)
    return [Event(campaign.org_id, now, ended, campaign.id, call_id_of(campaign.id, position)) for position in positions]


def _incomplete(campaign: CampaignState, now: datetime) -> list[Event]:
    if campaign.contacts_due_at is None or campaign.contacts_due_at > now:
        return []
    rejected = facts.CommandRejected(command=CreateCampaign.type_name, reason="contacts-incomplete", messages=[incomplete(campaign)])
    return [
        Event(campaign.org_id, now, rejected, campaign.id, causation_id=campaign.created_by),
        Event(campaign.org_id, now, facts.CampaignDeleted(), campaign.id),
    ]


def _may_dial(campaign: CampaignState, now: datetime) -> bool:
    return (
        campaign.complete
        and not campaign.paused
        and not campaign.is_over
        and campaign.pending > 0
        and len(campaign.calls) < campaign.max_concurrency
        and (campaign.earliest_at is None or campaign.earliest_at <= now)
        and not campaign.is_too_late(now)
    )


def _dispatch(org: OrgState, now: datetime, policy: Policy, limit: int) -> list[Event]:
    ready = [campaign for campaign in org.open.values() if _may_dial(campaign, now)]
    free = policy.limit_of(org.id) - org.active
    if not ready:
        return []
    if free <= 0:
        # a claim alone dials nobody: while a provider is away, one call after the other is claimed, to try
        return [] if free + _idle(org) > 0 or not org.dialed else _held_back(ready, now, policy, limit)
    fewest = [(len(campaign.calls), order, campaign.next_position, campaign) for order, campaign in enumerate(ready)]
    heapq.heapify(fewest)
    events: list[Event] = []
    while fewest and free > 0 and len(events) < limit - 1:
        active, order, position, campaign = heapq.heappop(fewest)
        if campaign.status == "scheduled" and position == campaign.next_position:
            events.append(Event(org.id, now, facts.CampaignStarted(), campaign.id))
        events.append(Event(org.id, now, facts.CallQueued(attempt=1), campaign.id, call_id_of(campaign.id, position)))
        free -= 1
        if active + 1 < campaign.max_concurrency and position + 1 < campaign.total:
            heapq.heappush(fewest, (active + 1, order, position + 1, campaign))
    return events


def _idle(org: OrgState) -> int:
    """The slots kept by calls that nobody dials, since their campaigns are paused: others wait for them, and no hour begins or ends."""
    return sum(call.awaits_claim for campaign in org.open.values() if campaign.paused for call in campaign.calls.values())


def _is_held(campaign: CampaignState, now: datetime) -> bool:
    return campaign.retry_until is not None and now <= campaign.retry_until + _HOLD_ENDS


def _held_back(ready: list[CampaignState], now: datetime, policy: Policy, limit: int) -> list[Event]:
    """Calls that are dialed hold these back by the org's limit: their hour begins, or ends, and what they have pending is dropped.

    A hold that is long past has ended by itself, without the limit holding anything back then: a new one begins a new hour.
    """
    if not policy.hour:
        return []
    events: list[Event] = []
    room = min(limit, _MOST_DECIDED)
    for campaign in ready:
        if len(events) == room:
            break
        if not _is_held(campaign, now) or campaign.retry_until is None:
            events.append(Event(campaign.org_id, now, facts.CampaignHeldBack(retry_until=now + policy.hour), campaign.id))
        elif campaign.retry_until <= now:
            events += _drop_pending(campaign, now, ORG_LIMIT_REACHED, room - len(events))
    return events
