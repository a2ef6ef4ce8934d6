"""The checker sees every promise that the log does not keep, and every answer that differs from it."""

import pytest

from tests.chaos.answers import wrong
from tests.chaos.fold import Call, Campaign, Fold
from tests.chaos.promised import broken_promises
from tests.chaos.promises import Closed, Edits, Promises


def _fold(**more: object) -> Fold:
    campaign = Campaign("c", "amy", "amy-1", 3, "2030-01-01T00:00:00.000Z", frozenset(), complete=True)
    campaign.calls = [Call("call-0", "c", "amy", 0, "+1"), Call("call-1", "c", "amy", 1, "+2")]
    for name, value in more.items():
        setattr(campaign, name, value)
    return Fold(org_limit=5, campaigns={"c": campaign}, answered={"more": ["CommandRejected.v1"]})


def _promises(**more: object) -> Promises:
    promises = Promises(acknowledged={"amy-1"}, contacts={"amy-1": 2})
    for name, value in more.items():
        setattr(promises, name, value)
    return promises


def test_promises_that_the_log_keeps_are_no_violation() -> None:
    edits = Edits(closed={"c": Closed("over", "stopped")}, renamed={"c": "amy-2"})
    kept = _promises(edits=edits, commanded={"more": Edits(added={"c": 7}, closed={"c": Closed("deleted")})})
    assert list(broken_promises(_fold(status="cancelled", ended_reason="stopped", new_name="amy-2"), kept)) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"acknowledged": {"amy-1", "amy-2"}},
        {"acknowledged": {"a command's id"}},
        {"refused": {"amy-1"}},
        {"contacts": {"amy-1": 3}},
        {"edits": Edits(closed={"c": Closed("over", "stopped")})},
        {"edits": Edits(closed={"c": Closed("archived")})},
        {"edits": Edits(closed={"c": Closed("deleted")})},
        {"edits": Edits(closed={"nobody": Closed("over")})},
        {"edits": Edits(renamed={"c": "amy-2"})},
        {"edits": Edits(added={"c": 1})},
        {"commanded": {"some": Edits(added={"c": 1})}},
        {"commanded": {"some": Edits(renamed={"c": "amy-2"})}},
    ],
)
def test_each_promise_that_the_log_does_not_keep_is_one_violation(broken: dict[str, object]) -> None:
    assert [line[:2] for line in broken_promises(_fold(status="ended", ended_reason="success"), _promises(**broken))] == ["I1"]


def test_a_campaign_that_was_given_up_before_its_contacts_came_owes_none() -> None:
    assert list(broken_promises(_fold(complete=False, deleted=True), _promises(contacts={"amy-1": 9}))) == []


def test_of_a_campaign_whose_creation_was_not_answered_for_good_no_number_of_contacts_is_demanded() -> None:
    assert list(broken_promises(_fold(), _promises(contacts={"amy-1": 9}, uncertain={"amy-1"}))) == []


_RIGHT = {
    "id": "c",
    "name": "amy-1",
    "status": "scheduled",
    "calls": {name: {"id": name, "status": "scheduled"} for name in ("call-0", "call-1")},
    "callsCounterScheduled": 2,
    "callsCounterQueued": 0,
    "callsCounterInProgress": 0,
    "callsCounterEnded": 0,
}


def test_an_answer_as_the_log_has_it_is_no_violation() -> None:
    campaign = _fold().campaigns["c"]
    assert list(wrong(campaign, 200, _RIGHT, is_own=True)) == []
    assert list(wrong(campaign, 404, {}, is_own=False)) == []


@pytest.mark.parametrize(
    ("status", "differs", "is_own", "breaks"),
    [
        (404, {}, True, ["I5"]),
        (200, {}, False, ["I7"]),
        (200, {"name": "amy-2"}, True, ["I5"]),
        (200, {"status": "ended"}, True, ["I5"]),
        (200, {"paused": True}, True, ["I5"]),
        (200, {"calls": {"call-0": {"id": "call-0", "status": "scheduled"}}}, True, ["I5", "I4"]),
        (200, {"callsCounterEnded": 1}, True, ["I4"]),
    ],
)
def test_each_answer_that_differs_from_the_log_is_a_violation(
    status: int, differs: dict[str, object], is_own: bool, breaks: list[str]
) -> None:
    assert [line[:2] for line in wrong(_fold().campaigns["c"], status, _RIGHT | differs, is_own=is_own)] == breaks


def test_a_deleted_campaign_must_be_answered_by_404() -> None:
    campaign = _fold(deleted=True).campaigns["c"]
    assert [line[:2] for line in wrong(campaign, 200, _RIGHT, is_own=True)] == ["I5"]
