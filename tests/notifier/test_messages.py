"""Which facts are told, and in which words (contract, "Webhooks to the customer's `server.url`")."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.calls import DELETED, LATEST_AT_PASSED, NOT_ELIGIBLE, PREDIAL_FAILED, VOICEMAIL
from events.envelope import EventRecord
from projections.campaign_progress.call_fold import CALL_FOLDS
from projections.campaign_progress.rows import CallRow
from projections.reading import log_event
from services.notifier.messages import NAMES, Known, WebhookMessage, message_of
from tests.notifier.given import CAMPAIGN, NOW, ORG, call_id, created, event, ready


def told(*events: EventRecord) -> list[WebhookMessage]:
    known = Known()
    return [message for fact in events if (message := message_of(known, fact)) is not None]


def said(*events: EventRecord) -> list[tuple[str, dict[str, Any]]]:
    bodies = [orjson.loads(message.body)["message"] for message in told(*events)]
    return [(body["eventType"], body["data"]) for body in bodies]


CALLED = [event("CallQueued", 0, attempt=1), event("CallRinging", 0, attempt=1), event("CallStarted", 0, attempt=1, startedAt="x")]


def ended(reason: str, call: int = 0, **more: Any) -> EventRecord:
    return event("CallEnded", call, endedReason=reason, endedAt="x", **more)


def test_a_message_is_what_the_contract_says() -> None:
    started = event("CampaignStarted")
    (message,) = told(*ready(), started)
    assert orjson.loads(message.body) == {
        "message": {
            "type": "campaign.event",
            "timestamp": int(NOW.timestamp() * 1000),
            "campaignId": CAMPAIGN,
            "eventType": "campaign.started",
            "data": {},
        }
    }
    assert (message.org_id, message.campaign_id, message.name) == (ORG, CAMPAIGN, "campaign.started")


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (event("CampaignStarted"), ("campaign.started", {})),
        (event("CampaignEnded", endedReason="campaign.ended.success"), ("campaign.ended", {"endedReason": "campaign.ended.success"})),
        (
            event("CampaignCancelled", endedReason="campaign.in-progress.ended-by-user"),
            ("campaign.cancelled", {"endedReason": "campaign.in-progress.ended-by-user"}),
        ),
        (event("CampaignArchived"), ("campaign.archived", {})),
    ],
)
def test_a_campaigns_own_facts_are_told(fact: EventRecord, expected: tuple[str, dict[str, Any]]) -> None:
    assert said(*ready(), fact) == [expected]


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("customer-ended-call", "contact.completed"),
        (VOICEMAIL, "contact.completed"),
        ("a-reason-nobody-knows", "contact.completed"),
        ("customer-busy", "contact.failed"),
        ("pipeline-error-x", "contact.failed"),
    ],
)
def test_the_end_of_a_call_is_told_as_its_contacts_status(reason: str, name: str) -> None:
    assert said(*ready(), *CALLED, ended(reason)) == [
        ("contact.dispatched", {"contactId": call_id()}),
        (name, {"contactId": call_id(), "callId": call_id(), "endedReason": reason}),
    ]


def test_an_unknown_reason_counts_as_failed_where_nobody_picked_up() -> None:
    assert said(*ready(), event("CallQueued", 0, attempt=1), ended("a-reason-nobody-knows"))[-1][0] == "contact.failed"
    assert said(*ready(), event("CallQueued", 0, attempt=1), ended("a-reason-nobody-knows", startedAt="x"))[-1][0] == "contact.completed"


def test_a_contact_that_was_never_dispatched_is_skipped_when_the_campaign_stops_and_failed_when_its_time_is_over() -> None:
    assert said(*ready(), ended(DELETED)) == [("contact.skipped", {"contactId": call_id()})]
    assert [name for name, _ in said(*ready(), ended(LATEST_AT_PASSED))] == ["contact.failed"]


def test_what_pre_dial_decided_is_told_once() -> None:
    queued = event("CallQueued", 0, attempt=1)
    assert said(*ready(), queued, event("ContactSkipped", 0, attempt=1), ended(NOT_ELIGIBLE))[1:] == [
        ("contact.skipped", {"contactId": call_id()})
    ]
    assert said(*ready(), queued, event("PredialFailed", 0, attempt=1, error="answered 500"), ended(PREDIAL_FAILED))[1:] == [
        ("contact.predial-failed", {"contactId": call_id(), "error": "answered 500"})
    ]


def test_a_call_that_is_offered_again_was_dispatched_once() -> None:
    again = [event("CallQueued", 0, attempt=1), event("CallQueued", 0, attempt=1), event("CallQueued", 0, attempt=2)]
    assert [name for name, _ in said(*ready(), *again)] == ["contact.dispatched"]


def test_only_the_names_that_were_asked_for_are_told() -> None:
    assert [name for name, _ in said(*ready({"contact.completed"}), *CALLED, ended(VOICEMAIL), event("CampaignStarted"))] == [
        "contact.completed"
    ]


@pytest.mark.parametrize(
    "campaign", [created(()), created(server={}), created(server={"timeoutSeconds": 3}), created({"campaign.unarchived"})]
)
def test_a_campaign_without_a_server_or_names_is_told_nothing(campaign: EventRecord) -> None:
    known = Known()
    for fact in (campaign, event("ContactsCompleted", contacts=1), *CALLED, ended(VOICEMAIL)):
        assert message_of(known, fact) is None
    assert not known.campaigns
    assert not known.calls


def test_a_campaign_whose_contacts_never_all_came_is_told_nothing() -> None:
    assert told(created(), ended(DELETED), event("CampaignDeleted")) == []


def test_messages_are_numbered_within_their_campaign() -> None:
    other = "00000000-0000-0000-0000-000000000002"
    messages = told(*ready(), *ready(campaign=other), *CALLED, event("CampaignStarted", campaign=other), ended(VOICEMAIL))
    assert [(message.campaign_id, message.sequence) for message in messages] == [(CAMPAIGN, 1), (other, 1), (CAMPAIGN, 2)]


def test_a_call_that_is_over_is_forgotten() -> None:
    known = Known()
    for fact in [*ready(), *CALLED, ended(VOICEMAIL)]:
        message_of(known, fact)
    assert not known.calls


SUCCESS = event("CampaignEnded", endedReason="campaign.ended.success")
STOPPED = event("CampaignEnded", endedReason="campaign.in-progress.ended-by-user")


def left(*events: EventRecord) -> frozenset[str]:
    """The names that may still come of the campaign."""
    known = Known()
    for fact in events:
        message_of(known, fact)
    return known.campaigns[CAMPAIGN].names


def test_of_a_campaign_that_ended_by_itself_only_its_archiving_is_left_to_tell() -> None:
    assert left(*ready(), *CALLED, ended(VOICEMAIL), SUCCESS) == {"campaign.archived"}
    assert left(*ready(NAMES - {"campaign.archived"}), *CALLED, ended(VOICEMAIL), SUCCESS) == frozenset()
    assert left(*ready(), SUCCESS, event("CampaignArchived")) == frozenset()
    assert left(*ready(), SUCCESS, event("CampaignDeleted")) == frozenset()
    assert said(*ready(), SUCCESS, event("CampaignArchived"))[1:] == [("campaign.archived", {})]


@pytest.mark.parametrize("closing", [[], [event("CampaignArchived")], [event("CampaignDeleted")]])
def test_the_calls_of_a_campaign_that_a_user_stopped_are_told_when_they_end(closing: list[EventRecord]) -> None:
    assert NAMES - {"campaign.archived"} <= left(*ready(), *CALLED, STOPPED, *closing)
    assert said(*ready(), *CALLED, STOPPED, *closing, ended(VOICEMAIL), ended(DELETED, 1))[-2:] == [
        ("contact.completed", {"contactId": call_id(), "callId": call_id(), "endedReason": VOICEMAIL}),
        ("contact.skipped", {"contactId": call_id(1)}),
    ]


def test_of_a_campaign_whose_contacts_never_all_came_nothing_is_left_to_tell() -> None:
    assert left(created(), event("CampaignDeleted")) == frozenset()


FACTS = [*CALLED, ended(VOICEMAIL), event("CallQueued", 1, attempt=1), ended("customer-busy", 1), event("CampaignStarted"), event("Later")]


@given(st.permutations(FACTS))
def test_reading_the_same_events_again_says_the_same_with_the_same_ids(facts: list[EventRecord]) -> None:
    campaign = ready()
    first, again = told(*campaign, *facts), told(*campaign, *facts)
    assert first == again
    assert len({message.id for message in first}) == len(first)
    assert {message.name for message in first} <= NAMES


REASONS = [VOICEMAIL, "customer-busy", "customer-ended-call", "a-reason-nobody-knows", "pipeline-error-x", DELETED, LATEST_AT_PASSED]
LIVES = st.tuples(
    st.lists(
        st.sampled_from(["CallQueued", "CallPlaced", "CallRinging", "CallStarted", "CallForwarded", "CallOutcomeUnknown"]), max_size=5
    ),
    st.sampled_from([*((None, reason) for reason in REASONS), ("ContactSkipped", NOT_ELIGIBLE), ("PredialFailed", PREDIAL_FAILED)]),
    st.booleans(),
)


@given(LIVES)
def test_a_contacts_last_message_is_its_status_in_the_read_model(life: tuple[list[str], tuple[str | None, str], bool]) -> None:
    steps, (decision, reason), started = life
    if decision is not None:
        steps = ["CallQueued", decision]
    elif steps:
        steps = ["CallQueued", *steps]
    facts = [event(step, 0, attempt=1, startedAt="x", endsBy="x") for step in steps]
    more: dict[str, Any] = {"startedAt": "x"} if started and decision is None else {}
    facts.append(ended(reason, **more))
    row = CallRow(call_id(), CAMPAIGN)
    for fact in facts:
        folded = log_event(fact)
        CALL_FOLDS[fact["type"]](row, folded, folded.data)
    names = [name for name, _ in said(*ready(), *facts)]
    assert names[-1] == row.contact_status
    assert names == (["contact.dispatched"] if row.dispatched_at else []) + [row.contact_status]
