"""Owns the decisions on what our services report of a call: claims, dial outcomes, provider reports (design, "Dialing").

All are idempotent by the call's state: late, doubled and reordered commands yield nothing.
"""

from datetime import datetime

from events import calls, commands, facts
from events.envelope import Command, Event
from services.engine.decider.outcomes import call_ended, fact
from services.engine.decider.policy import Policy
from services.engine.decider.state import CallState, CampaignState, PartitionState


def claim_call(state: PartitionState, command: Command, data: commands.ClaimCall, now: datetime, policy: Policy) -> list[Event]:
    """`CallClaimed` for the first claim of a call that may still be dialed; a claim that came too late offers the call again."""
    found = state.call_of(command.org_id, command.campaign_id, command.call_id)
    if found is None:
        return []
    campaign, call = found
    if not call.awaits_claim or call.attempt != data.attempt or campaign.is_over or campaign.paused:
        return []
    if campaign.is_too_late(now):
        return [call_ended(campaign, call, now, calls.LATEST_AT_PASSED, command)]
    if data.valid_until <= now:
        return [_offered_again(command, campaign, call, now)]
    claimed = facts.CallClaimed(
        attempt=call.attempt,
        claimant=data.claimant,
        valid_until=data.valid_until,
        outcome_due_at=now + policy.outcome_window,
        ends_by=now + policy.longest_call,
        provider=data.provider,
    )
    return [fact(command, now, claimed, campaign.id, call.id)]


def _offered_again(command: Command, campaign: CampaignState, call: CallState, now: datetime) -> Event:
    return fact(command, now, facts.CallQueued(attempt=call.attempt), campaign.id, call.id)


def dial_outcome(state: PartitionState, command: Command, data: commands.DialOutcome, now: datetime, policy: Policy) -> list[Event]:
    """What a dialer says became of the claim it names; of any other claim it says nothing."""
    found = state.call_of(command.org_id, command.campaign_id, command.call_id)
    if found is None:
        return []
    campaign, call = found
    if call.placed or call.status != "queued" or call.attempt != data.attempt:
        return []
    if data.outcome == "not-found":
        return [call_ended(campaign, call, now, calls.OUTCOME_UNKNOWN, command)] if call.outcome_unknown else []
    return _of_claim(command, campaign, call, data, now) if call.claim_id == data.claim_id else []


def _of_claim(command: Command, campaign: CampaignState, call: CallState, data: commands.DialOutcome, now: datetime) -> list[Event]:
    match data.outcome:
        case "placed":
            placed = facts.CallPlaced(attempt=call.attempt, provider=data.provider, provider_call_id=data.provider_call_id)
            return [fact(command, now, placed, campaign.id, call.id)]
        case "refused":
            return [call_ended(campaign, call, now, data.ended_reason or calls.REFUSED, command)]
        case "not-placed":
            return _not_placed(command, campaign, call, now)
        case "skipped":
            skipped = facts.ContactSkipped(attempt=call.attempt)
            return [fact(command, now, skipped, campaign.id, call.id), call_ended(campaign, call, now, calls.NOT_ELIGIBLE, command)]
        case "predial-failed":
            failed = facts.PredialFailed(attempt=call.attempt, error=data.error)
            return [fact(command, now, failed, campaign.id, call.id), call_ended(campaign, call, now, calls.PREDIAL_FAILED, command)]
        case _:
            return [] if call.outcome_unknown else [outcome_unknown(campaign, call, now, command)]


def _not_placed(command: Command, campaign: CampaignState, call: CallState, now: datetime) -> list[Event]:
    if campaign.is_over:
        return [call_ended(campaign, call, now, calls.DELETED, command)]
    if campaign.is_too_late(now):
        return [call_ended(campaign, call, now, calls.LATEST_AT_PASSED, command)]
    return [_offered_again(command, campaign, call, now)]


def outcome_unknown(campaign: CampaignState, call: CallState, now: datetime, command: Command | None = None) -> Event:
    """Nobody knows what became of the claim; the call keeps its slot until it must have ended."""
    data = facts.CallOutcomeUnknown(attempt=call.attempt, ends_by=call.ends_by or now, provider=call.provider)
    return Event(campaign.org_id, now, data, campaign.id, call.id, command.id if command else None)


def report_call(state: PartitionState, command: Command, data: commands.ReportCall, now: datetime, policy: Policy) -> list[Event]:
    """What the provider said moves the call forward, or nothing; a final report after the end adds what it holds, once."""
    found = state.call_of(command.org_id, command.campaign_id, command.call_id)
    if found is None:
        return _after_the_end(state, command, data, now)
    campaign, call = found
    if call.awaits_claim or call.attempt != data.attempt or calls.RANK[data.status] <= calls.RANK[call.status]:
        return []
    return [fact(command, now, _moved(call, data, now, policy), campaign.id, call.id)]


def _moved(call: CallState, data: commands.ReportCall, now: datetime, policy: Policy) -> facts.Fact:
    match data.status:
        case "ringing":
            return facts.CallRinging(attempt=call.attempt, provider_call_id=data.provider_call_id)
        case "in-progress":
            started_at = data.started_at or now
            return facts.CallStarted(attempt=call.attempt, provider_call_id=data.provider_call_id, started_at=started_at)
        case "forwarding":
            return facts.CallForwarded(attempt=call.attempt, provider_call_id=data.provider_call_id)
        case "ended":
            return facts.CallEnded(
                attempt=call.attempt,
                ended_reason=data.ended_reason or calls.REASON_MISSING,
                provider_call_id=data.provider_call_id,
                started_at=data.started_at or call.started_at,
                ended_at=data.ended_at or now,
                report_due_at=None if data.final else now + policy.report_window,
                cost=data.cost,
                analysis=data.analysis,
            )


def _after_the_end(state: PartitionState, command: Command, data: commands.ReportCall, now: datetime) -> list[Event]:
    awaited = state.awaited.get(command.call_id or "")
    if awaited is None or not data.final or awaited.attempt != data.attempt or awaited.due_at < now:
        return []
    campaign = state.campaigns[awaited.campaign_id]
    if campaign.org_id != command.org_id or campaign.id != command.campaign_id:
        return []
    analyzed = facts.CallAnalyzed(attempt=data.attempt, cost=data.cost, analysis=data.analysis)
    return [fact(command, now, analyzed, campaign.id, command.call_id)]
