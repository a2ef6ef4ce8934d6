"""The contract's "Requests": what a campaign and its customers must be."""

from typing import Any

import pytest
from pydantic import ValidationError

from events.calls import contact_after, was_conversation
from events.campaigns import CampaignDraft, CampaignEdit, Server
from events.commands import CreateCampaign
from events.contacts import Customer
from events.facts import CampaignCreated
from events.validation import messages_of


def draft(**changes: Any) -> dict[str, Any]:
    body = {"name": "x", "assistantId": "a", "phoneNumberId": "p", "customers": [{"number": "+14155550123"}]}
    return {key: value for key, value in (body | changes).items() if value is not ...}


def broken(model: Any, body: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    return messages_of(caught.value)


@pytest.mark.parametrize("number", ["+14155550123", "+12", "+123456789012345"])
def test_e164_numbers_are_taken(number: str) -> None:
    assert Customer(number=number).number == number


@pytest.mark.parametrize("number", ["14155550123", "+1", "+1234567890123456", "+0123", "+1 415", "abc", "+١٢٣"])
def test_other_numbers_need_the_check_switched_off(number: str) -> None:
    assert broken(Customer, {"number": number})


@pytest.mark.parametrize(("number", "taken"), [("1234", True), ("+001234567890", True), ("abc", True), ("a-b", False), ("12 34", False)])
def test_without_the_check_letters_and_digits_are_taken(number: str, taken: bool) -> None:
    body = {"number": number, "numberE164CheckEnabled": False}
    if taken:
        Customer.model_validate(body)
    else:
        assert broken(Customer, body) == ["number must hold letters and digits only, after an optional +"]


def test_a_sip_uri_may_stand_in_for_the_number() -> None:
    Customer.model_validate({"sipUri": "sip:a@b.example"})
    assert broken(Customer, {"name": "x"}) == ["number is required, unless sipUri stands in for it"]


@pytest.mark.parametrize(("field", "most"), [("name", 40), ("email", 40), ("externalId", 40), ("extension", 10)])
def test_the_customers_fields_have_their_length(field: str, most: int) -> None:
    Customer.model_validate({"number": "+123", field: "x" * most})
    assert broken(Customer, {"number": "+123", field: "x" * (most + 1)}) == [f"{field} must be at most {most} characters long"]


def test_variable_values_stay_under_100_000_characters() -> None:
    body = {"number": "+123", "assistantOverrides": {"variableValues": {"a": "x" * 100_000}}}
    assert broken(Customer, body) == ["assistantOverrides.variableValues must be under 100000 characters as JSON"]


@pytest.mark.parametrize("targets", [{}, {"assistantId": "a", "squadId": "s"}, {"workflowId": "w", "squadId": "s"}])
def test_exactly_one_target(targets: dict[str, str]) -> None:
    messages = broken(CampaignDraft, draft(assistantId=...) | targets)
    assert messages == [f"exactly one of assistantId, workflowId or squadId is required, {len(targets)} were given"]


def test_phone_number_and_customers_or_a_dial_plan() -> None:
    plan = [{"phoneNumberId": "p", "customers": [{"number": "+123"}]}]
    CampaignDraft.model_validate(draft(phoneNumberId=..., customers=..., dialPlan=plan))
    assert broken(CampaignDraft, draft(dialPlan=plan)) == [
        "phoneNumberId and dialPlan exclude each other",
        "customers and dialPlan exclude each other",
    ]
    assert broken(CampaignDraft, draft(phoneNumberId=..., customers=...)) == [
        "phoneNumberId is required, unless dialPlan is given",
        "customers is required, unless dialPlan is given",
    ]


def test_ten_thousand_customers_and_no_more() -> None:
    body = draft(customers=[{"number": "+123"}] * 10_000)
    CampaignDraft.model_validate(body)
    body["customers"].append({"number": "+123"})
    assert broken(CampaignDraft, body) == ["at most 10000 customers are taken at once, 10001 were given"]


@pytest.mark.parametrize(
    ("value", "taken"),
    [(1, True), (500, True), (10.0, True), (0, False), (501, False), (1.5, False), ("10", False), (True, False)],
)
def test_max_concurrency_is_a_whole_number_from_1_to_500(value: Any, taken: bool) -> None:
    if taken:
        assert CampaignDraft.model_validate(draft(maxConcurrency=value)).max_concurrency == int(value)
    else:
        assert broken(CampaignDraft, draft(maxConcurrency=value))[0].startswith("maxConcurrency must be")


def test_pre_dial_needs_a_server() -> None:
    assert broken(CampaignDraft, draft(predialPlan={})) == ["predialPlan needs server.url, which is asked before each call"]


@pytest.mark.parametrize("url", ["http://a\0b/", "https://hooks.test/\x1f", "https://hooks.test/\x7f"])
def test_a_servers_url_holds_no_control_characters_but_a_fact_that_does_is_read(url: str) -> None:
    for model in (CampaignDraft, CreateCampaign):
        assert broken(model, draft(server={"url": url})) == ["server.url must hold no whitespace and no control characters"]
    assert CampaignCreated.model_validate({"name": "n", "maxConcurrency": 1, "server": {"url": url}}).server == Server(url=url)


@pytest.mark.parametrize(
    "plan",
    [{}, {"earliestAt": "2030-01-01T00:00:00"}, {"earliestAt": "2030-01-01"}, {"latestAt": "2030-01-01T00:00:00Z"}, {"earliestAt": 5}],
)
def test_a_schedule_needs_an_earliest_instant_with_an_offset(plan: dict[str, Any]) -> None:
    assert broken(CampaignDraft, draft(schedulePlan=plan))[0].startswith("schedulePlan.earliestAt")


def test_latest_must_be_after_earliest() -> None:
    plan = {"earliestAt": "2030-01-01T01:00:00+01:00", "latestAt": "2030-01-01T00:00:00Z"}
    assert broken(CampaignDraft, draft(schedulePlan=plan)) == ["schedulePlan.latestAt must be after earliestAt"]


def test_unknown_fields_are_refused_by_their_path() -> None:
    assert broken(CampaignDraft, draft(x=1, schedulePlan={"earliestAt": "2030-01-01T00:00:00Z", "y": 1})) == [
        "property schedulePlan.y should not exist",
        "property x should not exist",
    ]


def test_an_edit_takes_at_most_one_target_and_one_kind_of_number() -> None:
    plan = [{"phoneNumberId": "p", "customers": [{"number": "+123"}]}]
    assert broken(CampaignEdit, {"assistantId": "a", "squadId": "s", "phoneNumberId": "p", "dialPlan": plan}) == [
        "only one of assistantId, workflowId or squadId can be given",
        "phoneNumberId and dialPlan exclude each other",
    ]
    CampaignEdit.model_validate({})


@pytest.mark.parametrize(
    ("reason", "started", "contact", "human"),
    [
        ("customer-ended-call", False, "contact.completed", True),
        ("voicemail", True, "contact.completed", False),
        ("customer-busy", False, "contact.failed", False),
        ("customer-did-not-answer", False, "contact.failed", False),
        ("twilio-failed-to-connect-call", False, "contact.failed", False),
        ("scheduled-call-deleted", False, "contact.skipped", False),
        ("call.in-progress.error-x", True, "contact.failed", True),
        ("call.start.error-x", False, "contact.failed", False),
        ("pipeline-error-x", True, "contact.failed", True),
        ("some-new-reason", True, "contact.completed", True),
        ("some-new-reason", False, "contact.failed", False),
    ],
)
def test_the_end_of_a_call_says_what_became_of_its_contact(reason: str, started: bool, contact: str, human: bool) -> None:
    assert contact_after(reason, started) == contact
    assert was_conversation(reason, started) == human
