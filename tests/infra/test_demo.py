"""The demonstration's judgement: it is content only with the right end and numbers that add up."""

from typing import Any

import pytest

from infra.stack.demo import demo_campaign, problems, progress_line

GOOD: dict[str, Any] = {
    "status": "ended",
    "endedReason": "campaign.ended.success",
    "callsCounterScheduled": 0,
    "callsCounterQueued": 0,
    "callsCounterInProgress": 0,
    "callsCounterEnded": 200,
    "callsCounterEndedVoicemail": 31,
}


def test_two_hundred_ended_calls_and_success_are_right() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"endedReason": "campaign.in-progress.ended-by-user"},
        {"callsCounterEnded": 199},
        {"callsCounterEnded": 199, "callsCounterInProgress": 1},
        {"callsCounterQueued": 1},
    ],
)
def test_anything_else_is_not(wrong: dict[str, Any]) -> None:
    assert problems(GOOD | wrong)


def test_the_bar_is_as_long_as_calls_are_over() -> None:
    half = GOOD | {"status": "in-progress", "callsCounterEnded": 100, "callsCounterScheduled": 60, "callsCounterInProgress": 40}
    assert progress_line(half).startswith("[###############...............] in-progress")


def test_a_campaign_without_calls_yet_has_an_empty_bar() -> None:
    assert progress_line({"status": "scheduled"}).startswith("[..............................] scheduled")


def test_every_customer_has_a_number_of_its_own() -> None:
    assert len({customer["number"] for customer in demo_campaign()["customers"]}) == 200
