"""The plan follows from its seed and leaves no fault out; the checker's fold sees what breaks a rule."""

from typing import Any

from tests.chaos.__main__ import fail_points_by_service
from tests.chaos.fold import Fold
from tests.chaos.plan import ON_BOTH, ON_POSTGRES, ON_SQLITE, plan_rounds, plan_short

_POINTS = fail_points_by_service()


def test_the_same_seed_plans_the_same_faults_and_another_seed_others() -> None:
    assert plan_rounds(1, 50, _POINTS) == plan_rounds(1, 50, _POINTS)
    assert plan_rounds(1, 50, _POINTS) != plan_rounds(2, 50, _POINTS)
    assert plan_short(1, _POINTS) == plan_short(1, _POINTS)


def test_two_hundred_rounds_hold_every_kind_of_fault_and_every_service_s_fail_points() -> None:
    faults = [fault for planned in plan_rounds(3, 200, _POINTS) for fault in planned.faults]
    assert {fault.kind for fault in faults} == {*ON_BOTH, *ON_POSTGRES, *ON_SQLITE}
    assert {fault.service for fault in faults if fault.kind == "fail-point-kill"} == set(_POINTS)
    assert max(fault.hold_seconds for fault in faults if fault.kind == "broker-unreachable") > 60


def _event(kind: str, call: str | None = None, **data: Any) -> dict[str, Any]:
    event = {"id": "e", "type": f"{kind}.v1", "orgid": "amy", "subject": "c", "time": "2030-01-01T00:00:00.000Z", "causationid": "x"}
    return {**event, "data": data, **({"callid": call} if call else {})}


def _folded(*events: dict[str, Any]) -> Fold:
    fold = Fold(org_limit=2)
    for event in (
        _event("CampaignCreated", name="amy-1", maxConcurrency=1, server={"url": "u"}, serverMessages=["contact.completed"]),
        *(_event("CallScheduled", f"call-{n}", position=n, customer={"number": f"+{n}"}) for n in range(3)),
        _event("ContactsCompleted", contacts=3),
        *events,
    ):
        fold.take(0, event)
    return fold


def test_a_call_s_life_is_counted_and_told() -> None:
    fold = _folded(
        _event("CallQueued", "call-0", attempt=1),
        _event("CallClaimed", "call-0", attempt=1, claimant="d"),
        _event("CallStarted", "call-0", attempt=1, startedAt="2030-01-01T00:00:00.000Z"),
        _event("CallEnded", "call-0", attempt=1, endedReason="customer-ended-call", endedAt="2030-01-01T00:00:00.000Z"),
    )
    campaign = fold.campaigns["c"]
    assert (fold.faults, campaign.told, campaign.active) == ([], ["contact.completed"], 0)
    assert {name: count for name, count in campaign.counters().items() if count} == {
        "calls_scheduled": 2,
        "calls_ended": 1,
        "contacts_pending": 2,
        "contacts_completed": 1,
    }
    assert list(fold.unsettled()) == ["call call-1 is not dialed", "call call-2 is not dialed"]


def test_more_calls_than_the_limit_a_second_claim_and_a_second_life_are_faults() -> None:
    crowded = _folded(_event("CallQueued", "call-0", attempt=1), _event("CallQueued", "call-1", attempt=1))
    assert [fault[:2] for fault in crowded.faults] == ["I3"]
    claim = _event("CallClaimed", "call-0", attempt=1, claimant="d")
    assert [fault[:2] for fault in _folded(_event("CallQueued", "call-0", attempt=1), claim, claim).faults] == ["I2"]
    end = _event("CallEnded", "call-0", endedReason="voicemail", endedAt="2030-01-01T00:00:00.000Z")
    assert {fault[:2] for fault in _folded(end, _event("CallQueued", "call-0", attempt=1)).faults} == {"I6"}
