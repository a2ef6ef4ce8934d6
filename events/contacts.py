"""Owns who is called: the customer as the contract takes one, and the dial plan (contract, "Requests")."""

import re
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from events.lists import in_blocks
from events.wire import VARIABLE_VALUES, NonEmpty, Opaque, Wire, made

E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DIALABLE = re.compile(r"\+?[a-zA-Z0-9]+")
MAX_VARIABLE_CHARACTERS = 100_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = 6
"""A character is written as at most so many, `\\u0000`; so many stand beside each variable."""

MAX_SHORT = 40
Short = Annotated[str, StringConstraints(max_length=MAX_SHORT)]


def broken(messages: list[str]) -> PydanticCustomError:
    """The error for rules that bind several fields; `events.validation` writes one message for each."""
    return PydanticCustomError("rules", "{text}", {"text": "; ".join(messages), "messages": messages})


class Customer(Wire):
    """A contact to call; personal data, so it stands only in the field `customer` or `customers` of what carries it."""

    number: Annotated[str, StringConstraints(min_length=3, max_length=40)] | None = None
    sip_uri: Annotated[str, StringConstraints(min_length=3, max_length=300)] | None = None
    number_e164_check_enabled: bool | None = Field(default=None, alias="numberE164CheckEnabled")
    extension: Annotated[str, StringConstraints(max_length=10)] | None = None
    name: Short | None = None
    email: Short | None = None
    external_id: Short | None = None
    assistant_overrides: Opaque | None = None
    squad_overrides: Opaque | None = None

    @model_validator(mode="after")
    def _rules(self) -> "Customer":
        messages: list[str] = []
        if self.number is None:
            if self.sip_uri is None:
                messages.append("number is required, unless sipUri stands in for it")
        elif self.number_e164_check_enabled is False:
            if not _DIALABLE.fullmatch(self.number):
                messages.append("number must hold letters and digits only, after an optional +")
        elif not E164.fullmatch(self.number):
            messages.append("number must be E.164: + and 2 to 15 digits, the first not 0, such as +14155551234")
        if self.assistant_overrides is not None:
            messages += _variable_rules("assistantOverrides", self.assistant_overrides)
        if self.squad_overrides is not None:
            messages += _variable_rules("squadOverrides", self.squad_overrides)
        if messages:
            raise broken(messages)
        return self

    def to_wire(self) -> dict[str, Any]:
        values = self.__dict__
        return {alias: value for name, alias in _WIRE_NAMES if (value := values[name]) is not None}


_WIRE_NAMES = [(name, str(field.alias)) for name, field in Customer.model_fields.items()]
_ABSENT: dict[str, Any] = dict.fromkeys(Customer.model_fields)
_OVERRIDES = "assistantOverrides"


def plain_customer(given: Any) -> Customer | None:
    """The customer, where it is one of the kind that almost all are: an E.164 number, maybe a name, maybe variables that are text.

    `None` says only that the model has to judge. An upload may hold a million, and the model's judgement costs ten times as much.
    """
    if type(given) is not dict:
        return None
    number, name, overrides = given.get("number"), given.get("name"), given.get(_OVERRIDES)
    if type(number) is not str or E164.fullmatch(number) is None:
        return None
    fields, names = _ABSENT.copy(), {"number"}
    fields["number"] = number
    if name is not None:
        if type(name) is not str or len(name) > MAX_SHORT or not _is_text(name):
            return None
        fields["name"] = name
        names.add("name")
    if overrides is not None:
        if type(overrides) is not dict or len(overrides) != 1 or not _are_plain(overrides.get(VARIABLE_VALUES)):
            return None
        fields["assistant_overrides"] = overrides
        names.add("assistant_overrides")
    return made(Customer, fields, names) if len(names) == len(given) else None


def _are_plain(variables: Any) -> bool:
    if type(variables) is not dict:
        return False
    try:
        text = "".join(variables) + "".join(variables.values())
    except TypeError:
        return False
    return (len(text) + len(variables)) * _ESCAPED < MAX_VARIABLE_CHARACTERS and _is_text(text)


def _is_text(value: str) -> bool:
    return value.isascii() or _SURROGATE.search(value) is None


def _judged(given: Any, judge: ValidatorFunctionWrapHandler) -> Customer:
    customer: Customer = plain_customer(given) or judge(given)
    return customer


Contact = Annotated[Customer, WrapValidator(_judged)]
"""A customer as one of many."""

Contacts = Annotated[list[Contact], Field(min_length=1), in_blocks(of=10)]


def _variable_rules(field: str, overrides: dict[str, Any]) -> list[str]:
    values = overrides.get(VARIABLE_VALUES)
    if values is None:
        return []
    if not isinstance(values, dict):
        return [f"{field}.{VARIABLE_VALUES} must be an object"]
    text = orjson.dumps(values)
    if len(text) >= MAX_VARIABLE_CHARACTERS and len(text.decode()) >= MAX_VARIABLE_CHARACTERS:
        return [f"{field}.{VARIABLE_VALUES} must be under {MAX_VARIABLE_CHARACTERS} characters as JSON"]
    return []


def dialed_number(customer: dict[str, Any]) -> str:
    """What an answer shows as the contact's `number`: the number, or the SIP URI that stands in for it."""
    number = customer.get("number") or customer["sipUri"]
    return str(number)


class DialPlanEntry(Wire):
    """The customers that are called from one phone number."""

    phone_number_id: NonEmpty
    customers: Contacts


DialPlan = Annotated[list[DialPlanEntry], Field(min_length=1), in_blocks(of=1)]
