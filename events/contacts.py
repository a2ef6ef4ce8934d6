"""Owns who is called: the customer as the contract takes one, and the dial plan (contract, "Requests")."""

import re
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from events.wire import VARIABLE_VALUES, NonEmpty, Opaque, Wire

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DIALABLE = re.compile(r"\+?[a-zA-Z0-9]+")
MAX_VARIABLE_CHARACTERS = 100_000

Short = Annotated[str, StringConstraints(max_length=40)]


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
        elif not _E164.fullmatch(self.number):
            messages.append("number must be E.164: + and 2 to 15 digits, the first not 0, such as +14155551234")
        if self.assistant_overrides is not None:
            messages += _variable_rules("assistantOverrides", self.assistant_overrides)
        if self.squad_overrides is not None:
            messages += _variable_rules("squadOverrides", self.squad_overrides)
        if messages:
            raise broken(messages)
        return self


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
    customers: Annotated[list[Customer], Field(min_length=1)]
