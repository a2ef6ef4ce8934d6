"""What a creation becomes on the log: one record, or parts that each fit one (design, "Commands and events")."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.campaigns import MAX_CONTACTS_PER_COMMAND, CampaignDraft
from events.codec import decode_command
from events.commands import AddContacts, CreateCampaign
from events.envelope import Command
from services.api.contact_spool import MAX_PART_BYTES
from services.api.errors import ApiError, TooLargeError
from services.api.generations import V1
from services.api.plans import MAX_RECORD_BYTES, Asked, Plan, plan_change, plan_creation, plan_repeated_creation

ASKED = Asked("org-1", "c-1", "0" * 64)
SPEC = {"name": "Spring", "assistantId": "a-1"}


def _customer(number: int, characters: int = 0) -> dict[str, Any]:
    return {"number": f"+1415{number:07d}", "assistantOverrides": {"variableValues": {"text": "x" * characters}}}


def _plan(**contacts: Any) -> Plan:
    return plan_creation(ASKED, CampaignDraft.model_validate(SPEC | contacts))


def _commands(plan: Plan) -> list[Command]:
    return [decode_command(record) for record in plan.records]


def _numbers(commands: list[Command]) -> list[tuple[int | None, str | None, str | None]]:
    """Entry, phone number and customer of each contact, as the engine will count them."""
    found: list[tuple[int | None, str | None, str | None]] = []
    for command in commands:
        assert isinstance(command.data, CreateCampaign | AddContacts)
        found += [(None, None, customer.number) for customer in command.data.customers or ()]
        first = command.data.first_entry if isinstance(command.data, AddContacts) else 0
        for index, entry in enumerate(command.data.dial_plan or (), first):
            found += [(index, entry.phone_number_id, customer.number) for customer in entry.customers]
    return found


def test_a_small_campaign_is_one_record() -> None:
    plan = _plan(phoneNumberId="p", customers=[_customer(number) for number in range(100)])
    (command,) = _commands(plan)
    assert isinstance(command.data, CreateCampaign)
    assert (command.data.parts, len(command.data.customers or ())) == (0, 100)
    assert plan.last_id == command.id == "c-1"


def test_the_repeat_of_a_creation_by_older_rules_is_written_as_it_was_taken() -> None:
    backoff = {"type": "fixed", "maxRetries": 1, "baseDelaySeconds": 1.0, "excludedStatusCodes": [42]}
    spec = SPEC | {"phoneNumberId": "p", "server": {"url": "https://customer.example", "backoffPlan": backoff}}
    (record,) = plan_repeated_creation(ASKED, spec).records
    written = orjson.loads(record)
    assert (written["id"], written["type"]) == ("c-1", "CreateCampaign.v1")
    assert written["data"] == spec | {"parts": 1, "hasDialPlan": False}


@pytest.mark.parametrize(("count", "characters"), [(10_000, 0), (4_001, 0), (500, 3_000), (20, 99_000)])
def test_a_large_campaign_is_cut_into_parts_in_order(count: int, characters: int) -> None:
    customers = [_customer(number, characters) for number in range(count)]
    plan = _plan(phoneNumberId="p", customers=customers)
    header, *parts = _commands(plan)
    assert isinstance(header.data, CreateCampaign)
    assert header.data.parts == len(parts) > 1
    assert [part.data.part for part in parts if isinstance(part.data, AddContacts)] == list(range(len(parts)))
    assert [number for _, _, number in _numbers(parts)] == [customer["number"] for customer in customers]
    assert all(len(record) <= MAX_PART_BYTES for record in list(plan.records)[1:])
    assert all(len(_numbers([part])) <= MAX_CONTACTS_PER_COMMAND for part in parts)
    assert plan.last_id == parts[-1].id
    assert {part.campaign_id for part in parts} == {plan.campaign_id}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 90_000), min_size=1, max_size=12), min_size=1, max_size=6))
def test_a_dial_plan_in_parts_keeps_its_entries(sizes: list[list[int]]) -> None:
    number, dial_plan, expected = 0, [], []
    for index, entry in enumerate(sizes):
        customers = []
        for characters in entry:
            customers.append(_customer(number, characters))
            expected.append((index, f"p-{index % 2}", customers[-1]["number"]))
            number += 1
        dial_plan.append({"phoneNumberId": f"p-{index % 2}", "customers": customers})
    plan = _plan(dialPlan=dial_plan)
    assert _numbers(_commands(plan)) == expected
    assert all(len(record) <= MAX_RECORD_BYTES for record in plan.records)


def test_the_same_request_becomes_the_same_records() -> None:
    customers = [_customer(number) for number in range(5_000)]
    assert _plan(phoneNumberId="p", customers=customers) == _plan(phoneNumberId="p", customers=customers)


def test_a_customer_or_a_campaign_that_fits_no_record_is_too_large() -> None:
    huge = _customer(1) | {"squadOverrides": {"text": "x" * MAX_RECORD_BYTES}}
    with pytest.raises(TooLargeError):
        _plan(phoneNumberId="p", customers=[_customer(0), huge])
    with pytest.raises(TooLargeError):
        _plan(phoneNumberId="p", customers=[_customer(0)], assistantOverrides={"text": "x" * MAX_RECORD_BYTES})


def test_an_edit_that_fits_no_record_is_refused() -> None:
    for count, characters in ((4_001, 0), (20, 90_000)):
        plan = [{"phoneNumberId": "p", "customers": [_customer(number, characters) for number in range(count)]}]
        with pytest.raises(ApiError):
            plan_change(ASKED, "id", V1.edit({"dialPlan": plan}))
