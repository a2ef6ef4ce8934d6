"""However much of a body is wrong, judging it ends after some hundred errors, and what many of those say stays as it is."""

from typing import Any

import pytest
from pydantic import ValidationError

from events.campaigns import AddedContacts, CampaignCopy, CampaignDraft, CampaignEdit, CampaignHead
from events.codec import decode_event, encode_event
from events.commands import AddContacts, CreateCampaign, UpdateCampaign
from events.contacts import Customer, DialPlanEntry
from events.envelope import Event
from events.facts import CampaignCreated
from events.instants import parse_instant
from events.validation import messages_of
from events.wire import Wire

_MOST_ERRORS = 1_500
_GOOD: dict[str, Any] = {"number": "+14155550123"}
_WIDE = {f"x{n}": 1 for n in range(90)}
_HEAD = {"name": "x", "assistantId": "a", "phoneNumberId": "p"}
_PLANNED = {"name": "x", "assistantId": "a"}


def refused(model: type[Wire], body: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body, by_alias=True, by_name=False)
    assert caught.value.error_count() <= _MOST_ERRORS
    return messages_of(caught.value)


def plan(customers: list[Any], entries: int = 1) -> dict[str, Any]:
    return {"dialPlan": [{"phoneNumberId": "p", "customers": customers}] * entries}


@pytest.mark.parametrize(
    ("model", "body", "most"),
    [
        (CampaignDraft, _HEAD, 10_000),
        (CampaignCopy, _HEAD | {"duplicateFromCampaignId": "c"}, 10_000),
        (AddedContacts, {}, 10_000),
        (CreateCampaign, _HEAD, 4_000),
        (AddContacts, {"part": 0}, 4_000),
    ],
)
def test_too_many_customers_are_counted_and_not_looked_at(model: type[Wire], body: dict[str, Any], most: int) -> None:
    for customer in (_GOOD, {}):
        message = f"at most {most} customers are taken at once, {most + 1} were given"
        assert refused(model, body | {"customers": [customer] * (most + 1)}) == [message]
    model.model_validate(body | {"customers": [_GOOD] * most}, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("model", "body", "most"),
    [(CampaignDraft, _PLANNED, 10_000), (CampaignEdit, {}, 10_000), (UpdateCampaign, {}, 10_000), (CreateCampaign, _PLANNED, 4_000)],
)
def test_customers_of_a_dial_plan_count_over_all_its_entries(model: type[Wire], body: dict[str, Any], most: int) -> None:
    for customer in (_GOOD, {}):
        message = f"at most {most} customers are taken at once, {most + 2} were given"
        assert refused(model, body | plan([customer] * (most // 2 + 1), 2)) == [message]
        assert refused(model, body | plan([customer], most + 1)) == [f"dialPlan must hold at most {most} entries, {most + 1} were given"]
    model.model_validate(body | plan([_GOOD] * (most // 2), 2), by_alias=True, by_name=False)


def test_entries_that_were_read_already_count_too() -> None:
    entries = [DialPlanEntry(phone_number_id="p", customers=[Customer(number="+123")] * 3_000)] * 4
    assert refused(CampaignEdit, {"dialPlan": entries}) == ["at most 10000 customers are taken at once, 12000 were given"]


@pytest.mark.parametrize("contacts", [{"customers": [_WIDE] * 10_000}, plan([_WIDE] * 1_000, 10), plan([_WIDE], 10_000)])
def test_wrong_contacts_within_the_limit_are_looked_at_until_enough_is_wrong(contacts: dict[str, Any]) -> None:
    messages = refused(CampaignDraft, _HEAD | contacts)
    assert len(messages) == 101
    assert messages[0].startswith("property ")
    assert messages[-1].startswith("and at least ")


@pytest.mark.parametrize("places", [[1], [9_999], [15, 3_005, 9_998]])
def test_each_wrong_contact_of_many_is_named_by_its_place(places: list[int]) -> None:
    customers = [{"name": "x"} if place in places else _GOOD for place in range(10_000)]
    wanted = [f"customers.{place}.number is required, unless sipUri stands in for it" for place in places]
    assert refused(CampaignDraft, _HEAD | {"customers": customers}) == wanted
    split = plan(customers[:5_000])["dialPlan"] + plan(customers[5_000:])["dialPlan"]
    messages = refused(CampaignDraft, _PLANNED | {"dialPlan": split})
    assert [message.split(".number")[0] for message in messages] == [f"dialPlan.{p // 5_000}.customers.{p % 5_000}" for p in places]


@pytest.mark.parametrize("items", [[1] * 300_000, ["x"] * 300_000, [[]] * 300_000])
@pytest.mark.parametrize("field", ["serverMessages", "encryptedPaths", "excludedStatusCodes"])
def test_a_list_of_wrong_names_paths_or_codes_ends_early(field: str, items: list[Any]) -> None:
    assert refused(CampaignHead, _HEAD | listing(field, items))


@pytest.mark.parametrize(("field", "item"), [("serverMessages", "campaign.ended"), ("encryptedPaths", "a"), ("excludedStatusCodes", 404)])
def test_such_a_list_holds_so_many_and_no_more(field: str, item: Any) -> None:
    CampaignHead.model_validate(_HEAD | listing(field, [item] * 500))
    (message,) = refused(CampaignHead, _HEAD | listing(field, [item] * 501))
    assert message.endswith(f"{field} must hold at most 500")


@pytest.mark.parametrize("code", [99, 600, 0, -1, 1e300])
def test_excluded_codes_are_those_of_http(code: float) -> None:
    for model, body in ((CampaignHead, _HEAD), (CreateCampaign, _HEAD | {"customers": [_GOOD]})):
        message = "server.backoffPlan.excludedStatusCodes must hold HTTP status codes only, from 100 to 599"
        assert refused(model, body | listing("excludedStatusCodes", [404, code])) == [message]


@pytest.mark.parametrize("path", [(), ("schedulePlan",), ("server",), ("server", "backoffPlan"), ("customers", 0)])
def test_an_object_with_more_properties_than_any_has_is_one_error(path: tuple[str | int, ...]) -> None:
    body: Any = {f"x{n}": 1 for n in range(40_000)}
    for part in reversed(path):
        body = [body] if isinstance(part, int) else {part: body}
    name = ".".join(map(str, path)) or "the body"
    assert f"{name} must hold at most 100 properties, {40_000 + (3 if not path else 0)} were given" in refused(CampaignDraft, _HEAD | body)


def test_a_fact_of_an_older_release_that_holds_more_is_read() -> None:
    spec = listing("excludedStatusCodes", [42] * 600) | {"serverMessages": ["campaign.ended"] * 600}
    spec["server"]["encryptedPaths"] = ["a"] * 600
    created = CampaignCreated.model_validate(_HEAD | spec | {"maxConcurrency": 1})
    event = Event("org-1", parse_instant("2026-01-01T00:00:00Z"), created)
    assert decode_event(encode_event(event, "e-1")) == event


def listing(field: str, items: list[Any]) -> dict[str, Any]:
    if field == "serverMessages":
        return {field: items}
    if field == "encryptedPaths":
        return {"server": {field: items}}
    return {"server": {"backoffPlan": {"type": "fixed", "maxRetries": 1, "baseDelaySeconds": 1, field: items}}}
