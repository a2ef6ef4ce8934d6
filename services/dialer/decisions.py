"""Owns what a dialer does with a call, as pure functions of what is known of it (design, "Dialing")."""

from datetime import datetime
from typing import Literal

from events.campaigns import OVER
from events.commands import ClaimCall, CommandData, DialOutcome, ReportCall
from events.envelope import Command
from projections.dial_task.task import DialTask
from services.dialer.claims import Claim
from services.dialer.predial import Eligible, NotEligible, PredialFailed, Verdict
from services.dialer.provider import Answer, FoundCall, NotPlaced, Placed, Refused, Unknown

SOURCE = "/ringfold/dialer"
Step = Literal["pass", "ask-predial", "claim"]


def next_step(task: DialTask, attempt: int) -> Step:
    """What `CallQueued` of this attempt asks for, by a read model that has passed it.

    Passing a call over loses nothing: the engine queues it again when its campaign is resumed or its attempt comes
    back, and ends the unclaimed calls of a campaign that is over. Going on needlessly is harmless: no claim is granted.
    """
    if task.call_status != "queued" or task.attempt != attempt or task.claimed:
        return "pass"
    if task.paused or task.deleted or task.campaign_status in OVER:
        return "pass"
    return "ask-predial" if asks_predial(task) else "claim"


def asks_predial(task: DialTask) -> bool:
    """Whether the campaign wants its server asked before each call (contract, "Webhooks")."""
    return task.predial_plan is not None and task.predial_plan.get("enabled") is not False


def claim_command(claim: Claim, claimant: str, valid_until: datetime) -> Command:
    data = ClaimCall(attempt=claim.attempt, claimant=claimant, valid_until=valid_until, provider=claim.provider)
    return _command(claim.id, claim.task, data)


def predial_outcome(command_id: str, task: DialTask, attempt: int, verdict: Verdict) -> Command | None:
    """What ends the call without a claim; `None` where it may be dialed."""
    match verdict:
        case Eligible():
            return None
        case NotEligible():
            return _command(command_id, task, DialOutcome(attempt=attempt, outcome="skipped"))
        case PredialFailed(error):
            return _command(command_id, task, DialOutcome(attempt=attempt, outcome="predial-failed", error=error))


def dial_outcome(command_id: str, claim: Claim, answer: Answer) -> Command:
    """What became of a claim that was granted, or is given back."""
    match answer:
        case Placed(provider_call_id):
            data = DialOutcome(
                attempt=claim.attempt, claim_id=claim.id, outcome="placed", provider=claim.provider, provider_call_id=provider_call_id
            )
        case Refused(ended_reason, error):
            data = DialOutcome(
                attempt=claim.attempt, claim_id=claim.id, outcome="refused", provider=claim.provider, ended_reason=ended_reason, error=error
            )
        case NotPlaced(error):
            data = DialOutcome(attempt=claim.attempt, claim_id=claim.id, outcome="not-placed", error=error)
        case Unknown(error):
            data = DialOutcome(attempt=claim.attempt, claim_id=claim.id, outcome="unknown", provider=claim.provider, error=error)
    return _command(command_id, claim.task, data)


def absence(command_id: str, org_id: str, campaign_id: str, call_id: str, attempt: int, provider: str) -> Command:
    """What a provider's lookup tells of a call that it never got."""
    data = DialOutcome(attempt=attempt, outcome="not-found", provider=provider)
    return Command(command_id, org_id, data, SOURCE, campaign_id, call_id)


def found_report(
    command_id: str, org_id: str, campaign_id: str, call_id: str, attempt: int, provider: str, found: FoundCall
) -> Command | None:
    """What a provider's lookup tells of a call whose outcome is unknown; `None` where it has not begun to ring."""
    if found.status == "queued":
        return None
    known = {
        "attempt": attempt,
        "status": found.status,
        "provider": provider,
        "providerCallId": found.provider_call_id,
        "final": found.status == "ended",
    }
    return Command(
        id=command_id,
        org_id=org_id,
        data=ReportCall.model_validate(known | found.report),
        source=SOURCE,
        campaign_id=campaign_id,
        call_id=call_id,
    )


def _command(command_id: str, task: DialTask, data: CommandData) -> Command:
    return Command(command_id, task.org_id, data, SOURCE, task.campaign_id, task.call_id)
