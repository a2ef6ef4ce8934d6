"""The rules of the design's "Dialing": one claim, one dial, and reports that only ever move a call forward."""

from datetime import timedelta

import pytest

from events import commands
from services.engine.decider.policy import Policy
from services.engine.decider.state import CallState
from tests.engine.given import ORG, World, names, reasons, through_the_log


def one_call(**policy: timedelta) -> tuple[World, CallState]:
    world = World(Policy(**policy))  # type: ignore[arg-type]
    campaign_id = world.create(1)
    return world, world.active(campaign_id)[0]


def test_the_first_claim_is_granted_and_no_other() -> None:
    world, call = one_call()
    assert names(world.claim(call, "c-1")) == ["CallClaimed"]
    assert world.log[-1].causation_id == "c-1"
    assert world.claim(call, "c-2") == []


def test_a_claim_of_another_attempt_or_org_is_not_granted() -> None:
    world, call = one_call()
    assert world.claim(call, org="org-2") == []
    late = commands.ClaimCall(attempt=2, claimant="d", valid_until=world.now + timedelta(seconds=9))
    assert world.do(late, call.campaign_id, call.id) == []


def test_a_claim_that_came_too_late_offers_the_call_again() -> None:
    world, call = one_call()
    assert names(world.claim(call, valid=0)) == ["CallQueued"]
    assert names(world.claim(call, "c-2")) == ["CallClaimed"]


def test_after_a_pause_no_claim_is_granted_and_resuming_offers_the_call_again() -> None:
    world, call = one_call()
    world.do(commands.PauseCampaign(), call.campaign_id)
    assert world.claim(call) == []
    assert names(world.do(commands.ResumeCampaign(), call.campaign_id)) == ["CampaignResumed", "CallQueued"]
    assert names(world.claim(call, "c-2")) == ["CallClaimed"]


def test_a_dial_that_surely_was_not_placed_is_offered_again_under_the_same_attempt() -> None:
    world, call = one_call()
    world.claim(call)
    events = world.outcome(call, "not-placed")
    assert names(events) == ["CallQueued"]
    assert events[0].data.to_wire() == {"attempt": 1}
    assert world.outcome(call, "not-placed") == []
    assert len(world.active(call.campaign_id)) == 1


def test_an_outcome_of_a_claim_that_is_not_the_granted_one_says_nothing() -> None:
    world, call = one_call()
    world.claim(call, "c-1")
    assert world.outcome(call, "refused", claim="c-0") == []
    assert world.outcome(call, "skipped", claim=None) == []


@pytest.mark.parametrize(
    ("outcome", "expected", "reason"),
    [
        ("skipped", "ContactSkipped", "call.start.error-predial-not-eligible"),
        ("predial-failed", "PredialFailed", "call.start.error-predial-failed"),
    ],
)
def test_pre_dial_that_says_no_or_fails_ends_the_call_unplaced(outcome: str, expected: str, reason: str) -> None:
    world, call = one_call()
    events = world.outcome(call, outcome, claim=None)
    assert names(events) == [expected, "CallEnded", "CampaignEnded"]
    assert reasons(events) == [reason]


def test_a_refusal_ends_the_call_with_the_providers_reason() -> None:
    world, call = one_call()
    world.claim(call)
    assert reasons(world.outcome(call, "refused", ended_reason="call.start.error-x")) == ["call.start.error-x"]


def test_a_claim_without_an_outcome_becomes_unknown_keeps_its_slot_and_is_never_dialed_again() -> None:
    world, call = one_call(outcome_window=timedelta(seconds=60), longest_call=timedelta(hours=1))
    world.claim(call)
    assert names(world.after(seconds=60)) == ["CallOutcomeUnknown"]
    assert world.state.orgs[ORG].active == 1
    assert world.claim(call, "c-2") == []
    assert world.after(minutes=58) == []
    assert reasons(world.after(minutes=1)) == ["call.in-progress.error-outcome-unknown"]


def test_an_unknown_outcome_names_the_provider_that_its_claim_named_until_the_call_is_offered_again() -> None:
    world, call = one_call(outcome_window=timedelta(seconds=60))
    world.claim(call)
    (unknown,) = world.after(seconds=60)
    assert unknown.data.to_wire()["provider"] == "sim"
    assert through_the_log(world.log).campaigns[call.campaign_id].calls[call.id].provider == "sim"
    world.outcome(call, "not-placed")
    assert world.active(call.campaign_id)[0].provider is None


def test_a_report_resolves_an_unknown_outcome() -> None:
    world, call = one_call()
    world.claim(call)
    world.after(seconds=60)
    assert names(world.report(call, "ringing")) == ["CallRinging"]
    assert not call.outcome_unknown


def test_the_deadline_ends_a_call_whose_last_callback_was_lost() -> None:
    world, call = one_call(longest_call=timedelta(hours=1))
    world.claim(call)
    world.outcome(call)
    world.report(call, "in-progress")
    assert world.after(minutes=59) == []
    assert names(world.after(minutes=1)) == ["CallEnded", "CampaignEnded"]


def test_reports_move_a_call_forward_only() -> None:
    world, call = one_call()
    world.claim(call)
    world.outcome(call)
    assert names(world.report(call, "in-progress")) == ["CallStarted"]
    assert world.report(call, "ringing") == []
    assert world.report(call, "in-progress") == []
    assert names(world.report(call, "forwarding")) == ["CallForwarded"]
    assert names(world.report(call, "ended", ended_reason="assistant-forwarded-call")) == ["CallEnded", "CampaignEnded"]
    assert world.report(call, "ended", ended_reason="voicemail") == []
    assert world.report(call, "ringing") == []


def test_a_report_may_come_before_the_dialers_outcome() -> None:
    world, call = one_call()
    world.claim(call)
    assert names(world.report(call, "ringing")) == ["CallRinging"]
    assert world.outcome(call) == []


def test_a_report_of_a_call_that_nobody_claimed_or_of_another_org_says_nothing() -> None:
    world, call = one_call()
    assert world.report(call, "ringing") == []
    world.claim(call)
    assert world.report(call, "ringing", org="org-2") == []


def test_the_final_report_after_the_end_adds_its_analysis_once_and_not_too_late() -> None:
    world, call = one_call(report_window=timedelta(minutes=10))
    world.claim(call)
    world.outcome(call)
    world.report(call, "ended", ended_reason="customer-ended-call")
    events = world.report(call, "ended", final=True, analysis={"summary": "fine"}, cost=0.5)
    assert names(events) == ["CallAnalyzed"]
    assert events[0].data.to_wire() == {"attempt": 1, "cost": 0.5, "analysis": {"summary": "fine"}}
    assert world.report(call, "ended", final=True, analysis={"summary": "again"}) == []


def test_a_not_placed_dial_of_a_stopped_campaign_ends_the_call() -> None:
    world, call = one_call()
    world.claim(call)
    world.do(commands.StopCampaign(), call.campaign_id)
    assert reasons(world.outcome(call, "not-placed")) == ["scheduled-call-deleted"]


def test_a_call_that_its_provider_never_got_ends_and_is_not_dialed_again() -> None:
    world, call = one_call()
    world.claim(call)
    assert world.outcome(call, "not-found", claim=None) == []
    world.after(seconds=60)
    assert reasons(world.outcome(call, "not-found", claim=None)) == ["call.in-progress.error-outcome-unknown"]
    assert world.claim(call, "c-2") == []
