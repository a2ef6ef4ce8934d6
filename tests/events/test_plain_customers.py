"""The quick look at a contact takes nothing that the model refuses, and makes of what it takes what the model makes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.codec import encode_event
from events.contacts import Customer, plain_customer
from events.envelope import Event
from events.facts import CallScheduled
from tests.engine.given import T0

_TEXT = st.one_of(st.text(max_size=45), st.sampled_from(["", "\ud800", "é" * 40, "x" * 41, "a\x00b"]))
_NUMBERS = st.one_of(st.from_regex(r"\A\+[0-9]{1,16}\Z"), _TEXT, st.none(), st.integers())
_VALUES = st.one_of(_TEXT, _TEXT, st.none(), st.integers(), st.dictionaries(_TEXT, _TEXT, max_size=1))
_VARIABLES = st.dictionaries(_TEXT, _VALUES, max_size=3)
_OVERRIDES = st.one_of(
    st.fixed_dictionaries({"variableValues": _VARIABLES}),
    st.fixed_dictionaries({"variableValues": _VARIABLES, "model": st.none()}),
    st.dictionaries(_TEXT, _VARIABLES, max_size=2),
    _TEXT,
    st.none(),
)
_CUSTOMERS = st.one_of(
    st.fixed_dictionaries(
        {"number": st.one_of(st.just("+14155550100"), _NUMBERS)},
        optional={
            "name": st.one_of(_TEXT, st.none()),
            "assistantOverrides": _OVERRIDES,
            "email": _TEXT,
            "assistant_overrides": _OVERRIDES,
            "x": st.none(),
        },
    ),
    _TEXT,
    st.lists(_TEXT, max_size=2),
)


@given(_CUSTOMERS)
def test_what_it_takes_is_what_the_model_makes(customer: Any) -> None:
    plain = plain_customer(customer)
    if plain is not None:
        model = Customer.model_validate(customer, by_alias=True, by_name=False)
        assert plain == model
        assert list(plain.__dict__.items()) == list(model.__dict__.items())
        assert repr(plain) == repr(model)


@given(_CUSTOMERS)
def test_a_customer_is_written_as_pydantic_would(customer: Any) -> None:
    try:
        # half a surrogate pair is no JSON, so no border lets it in
        model = Customer.model_validate(orjson.loads(orjson.dumps(customer)))
    except (orjson.JSONEncodeError, ValidationError):
        return
    assert model.to_wire() == model.model_dump(mode="json", by_alias=True, exclude_none=True)
    scheduled = CallScheduled(position=1, customer=model, phone_number_id="p", part=0)
    assert scheduled.to_wire() == scheduled.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert orjson.loads(encode_event(Event("org-1", T0, scheduled), "e"))["data"]["customer"] == model.to_wire()


@pytest.mark.parametrize(
    "customer",
    [
        {"number": "+14155550100"},
        {"number": "+14155550100", "name": "José"},
        {"number": "+14155550100", "name": "A", "assistantOverrides": {"variableValues": {"city": "London"}}},
    ],
)
def test_what_almost_all_are_is_taken_at_once(customer: dict[str, Any]) -> None:
    assert plain_customer(customer) is not None


def test_variables_that_may_be_too_many_as_json_are_left_to_the_model() -> None:
    assert plain_customer({"number": "+14155550100", "assistantOverrides": {"variableValues": {"a": "\x00" * 17_000}}}) is None
