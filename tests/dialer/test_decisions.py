"""The dialer's pure parts: what a queued call asks for, the claims, the offsets, the circuit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dialer.circuit import Circuit
from services.dialer.claims import Claim, ClaimBook
from services.dialer.decisions import found_report, next_step
from services.dialer.offsets import OffsetTracker
from services.dialer.provider import FoundCall
from tests.dialer.given import CAMPAIGN, call_id, no_jitter, task


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, "claim"),
        ({"predial_plan": {}}, "ask-predial"),
        ({"predial_plan": {"enabled": True}}, "ask-predial"),
        ({"predial_plan": {"enabled": False}}, "claim"),
        ({"call_status": "ended"}, "pass"),
        ({"call_status": "ringing"}, "pass"),
        ({"attempt": 2}, "pass"),
        ({"claimed": True, "predial_plan": {}}, "pass"),
        ({"paused": True}, "pass"),
        ({"deleted": True}, "pass"),
        ({"campaign_status": "ended"}, "pass"),
        ({"campaign_status": "cancelled"}, "pass"),
        ({"campaign_status": "archived"}, "pass"),
    ],
)
def test_what_is_no_more_to_be_dialed_is_passed_over_and_predial_is_asked_where_it_is_wanted(changes: dict[str, Any], step: str) -> None:
    assert next_step(task(**changes), 1) == step


def test_a_call_that_was_found_ended_is_reported_as_the_final_word() -> None:
    found = FoundCall("p-1", "ended", {"endedReason": "voicemail", "cost": 0.2})
    command = found_report("id", "acme", CAMPAIGN, call_id(), 1, "simulator", found)
    assert command is not None
    assert command.data.to_wire() == {
        "attempt": 1,
        "status": "ended",
        "provider": "simulator",
        "providerCallId": "p-1",
        "endedReason": "voicemail",
        "cost": 0.2,
        "final": True,
    }


def test_a_call_that_was_found_waiting_is_not_reported_yet() -> None:
    assert found_report("id", "acme", CAMPAIGN, call_id(), 1, "simulator", FoundCall("p-1", "queued", {})) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["remember", "take", "expire", "take-all"])), max_size=60))
def test_each_claim_is_given_out_at_most_once(steps: list[tuple[int, str]]) -> None:
    book, given_out, remembered = ClaimBook(), [], set()
    for time, (number, step) in enumerate(steps):
        match step:
            case "remember":
                claim = Claim(f"{number}-{time}", task(number), 1, "by-hand", time + 5)
                remembered.add(claim.id)
                book.remember(claim)
            case "take":
                taken = book.take(next((c for c in sorted(remembered) if c.startswith(f"{number}-")), None))
                given_out += [] if taken is None else [taken.id]
            case "expire":
                expired = book.take_expired(time)
                assert all(claim.expires <= time for claim in expired)
                given_out += [claim.id for claim in expired]
            case "take-all":
                given_out += [claim.id for claim in book.take_all()]
    assert len(given_out) == len(set(given_out))
    assert len(given_out) + len(book) == len(remembered)


@given(st.lists(st.sampled_from(["begin", "pass"]), min_size=1, max_size=40), st.data())
def test_the_place_never_moves_past_a_record_that_is_not_done(kinds: list[str], data: st.DataObject) -> None:
    tracker = OffsetTracker()
    assert tracker.committable is None
    undone = set()
    for offset, kind in enumerate(kinds):
        if kind == "begin":
            tracker.begin(offset)
            undone.add(offset)
        else:
            tracker.passed(offset)
    for offset in data.draw(st.permutations(sorted(undone))):
        assert tracker.committable == min(undone)
        tracker.done(offset)
        tracker.done(offset)
        undone.discard(offset)
    assert tracker.committable == len(kinds)
    assert tracker.span == 0


def test_a_circuit_pauses_longer_each_time_lets_one_try_and_closes_on_an_answer() -> None:
    circuit = Circuit(no_jitter)
    now, pauses = 0.0, []
    for _ in range(8):
        circuit.not_reached(now)
        pauses.append(circuit.admit(now))
        now += pauses[-1]
        assert not circuit.is_open(now)
        assert circuit.admit(now) == 0
        assert circuit.admit(now) > 0
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 15, 15]
    circuit.answered()
    assert circuit.is_closed
    assert circuit.admit(now) == 0


def test_a_pause_is_at_least_as_long_as_the_provider_asks_up_to_an_hour_and_longer_by_the_draw() -> None:
    circuit = Circuit(lambda: 0.5)
    circuit.not_reached(0.0, 60)
    assert circuit.admit(0.0) == 67.5
    circuit.not_reached(30.0, 90)
    assert circuit.admit(30.0) == 90
    later = Circuit(no_jitter)
    later.not_reached(0.0, 1_000_000)
    assert later.admit(0.0) == 3_600


def test_failures_of_calls_that_were_under_way_together_count_as_one() -> None:
    circuit = Circuit(no_jitter)
    for _ in range(50):
        circuit.not_reached(0.0)
    assert circuit.admit(0.0) == 0.25


def test_a_trial_that_came_to_nothing_gives_way_to_another() -> None:
    circuit = Circuit(no_jitter)
    circuit.not_reached(0.0)
    assert circuit.admit(1.0) == 0
    assert circuit.admit(2.0) > 0
    assert circuit.admit(12.0) == 0


def test_requests_without_an_answer_open_the_circuit_only_in_a_row() -> None:
    circuit = Circuit(no_jitter)
    for _ in range(4):
        circuit.left_unknown(0.0)
    circuit.answered()
    for _ in range(4):
        circuit.left_unknown(0.0)
    assert not circuit.is_open(0.0)
    circuit.left_unknown(0.0)
    assert circuit.is_open(0.0)


def test_a_trial_without_an_answer_opens_the_circuit_again() -> None:
    circuit = Circuit(no_jitter)
    circuit.not_reached(0.0)
    circuit.admit(1.0)
    circuit.left_unknown(1.0)
    assert circuit.is_open(1.0)
