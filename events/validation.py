"""Owns how a failed validation reads: one message for each broken rule, naming the field's path on the wire."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_MESSAGES = 100

_LONGEST_PATH = 500

_PHRASES = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must be at least {min_length} characters long",
    "string_too_long": "must be at most {max_length} characters long",
    "string_pattern_mismatch": "must match {pattern}",
    "bool_type": "must be a boolean",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be one of {expected}",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
}


def messages_of(error: ValidationError) -> list[str]:
    """The messages in the order of the fields, at most 100 and then one that counts the rest, as far as it was looked for.

    No message holds a given value.
    """
    messages = [message for detail in error.errors(include_url=False, include_input=False) for message in _messages(detail)]
    if len(messages) > MAX_MESSAGES:
        return [*messages[:MAX_MESSAGES], f"and at least {len(messages) - MAX_MESSAGES} more"]
    return messages


def _messages(detail: ErrorDetails) -> list[str]:
    path = ".".join(str(part) for part in detail["loc"])[:_LONGEST_PATH]
    context: dict[str, Any] = detail.get("ctx", {})
    if detail["type"] == "rules":
        return [f"{path}.{rule}" if path and rule[0].islower() and " " in rule else rule for rule in context["messages"]]
    if detail["type"] == "extra_forbidden":
        return [f"property {path} should not exist"]
    phrase = _PHRASES.get(detail["type"])
    text = phrase.format(**context) if phrase else detail["msg"]
    return [f"{path} {text}" if path else f"the body {text}"]
