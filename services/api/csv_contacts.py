"""Owns how a CSV of contacts is read (contract, "CSV of contacts"): row by row, each a contact or what is wrong with its line."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import orjson
from pydantic import ValidationError

from events.contacts import Customer, plain_customer
from events.validation import messages_of
from events.wire import VARIABLE_VALUES

MAX_COLUMNS = 1_000
MAX_ROW_CHARACTERS = 1_000_000
"""However many lines the row goes over: what is in memory at once follows from it."""
_FILLERS = str.maketrans("", "", "()-' ")
"""What people write between a number's digits."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class UnreadableCsvError(Exception):
    """No contacts can be read at all. Not retriable; the message is for the caller, and holds no value but the header's."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A valid contact as it stands on the wire."""

    json: bytes


@dataclass(frozen=True, slots=True)
class BadLine:
    """The line, counted from 1 with the header, at which a row begins that can not be taken, and one text for each broken rule.

    No text holds a value of the row.
    """

    line: int
    messages: list[str]


def read_contacts(text: TextIO, max_rows: int) -> Iterator[Contact | BadLine]:
    """One item for each row after the header, blank lines passed over; memory does not grow with the rows.

    The file was opened with `errors="surrogateescape"`. Raises `UnreadableCsvError`, also beyond `max_rows`, blank ones counted.
    """
    line, characters = 1, 0

    def lines() -> Iterator[str]:
        nonlocal characters
        while more := text.readline(MAX_ROW_CHARACTERS):
            characters += len(more)
            if characters >= MAX_ROW_CHARACTERS:
                raise UnreadableCsvError(f"the row that begins at line {line} must be shorter than {MAX_ROW_CHARACTERS} characters")
            yield more

    reader = csv.reader(lines(), strict=True)
    header = _header(reader)
    for _ in range(max_rows + 1):
        line, characters = reader.line_num + 1, 0
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield BadLine(line, [f"is no CSV: {error}"])
            continue
        if row is None:
            return
        if row:
            yield _contact(header, row, line)
    raise UnreadableCsvError(f"at most {max_rows} lines are read at once, blank ones among them")


def _header(reader: Any) -> list[str]:
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        raise UnreadableCsvError(f"line 1 is no CSV: {error}") from error
    if len(header) > MAX_COLUMNS:
        raise UnreadableCsvError(f"line 1 must name at most {MAX_COLUMNS} columns, these are {len(header)}")
    if "number" not in header:
        raise UnreadableCsvError("line 1 must be a header with a column number, in lower case, its columns separated by commas")
    doubled = sorted(name for name, times in Counter(header).items() if name and times > 1)
    if doubled:
        raise UnreadableCsvError(f"line 1 must name each column once, these stand twice: {', '.join(doubled)[:500]}")
    if any(map(_SURROGATE.search, header)):
        raise UnreadableCsvError("line 1 must be UTF-8")
    return header


def _contact(header: list[str], row: list[str], line: int) -> Contact | BadLine:
    messages = _form_rules(header, row)
    if messages:
        return BadLine(line, messages)
    cells = {name: cell for name, cell in zip(header, row, strict=False) if cell and not cell.isspace()}
    customer: dict[str, Any] = {"number": cells.pop("number", "").translate(_FILLERS)}
    if "name" in cells:
        customer["name"] = cells.pop("name")
    if cells:
        customer["assistantOverrides"] = {VARIABLE_VALUES: cells}
    if plain_customer(customer) is None:
        try:
            Customer.model_validate(customer, by_alias=True, by_name=False)
        except ValidationError as error:
            return BadLine(line, messages_of(error))
    return Contact(orjson.dumps(customer))


def _form_rules(header: list[str], row: list[str]) -> list[str]:
    """What is wrong with the row whatever its cells mean."""
    messages = []
    if not "".join(row).isascii() and any(map(_SURROGATE.search, row)):
        messages.append("must be UTF-8")
    if len(row) > len(header):
        messages.append(f"has {len(row)} columns where the header has {len(header)}")
    if "" in header and any(cell and not name for name, cell in zip(header, row, strict=False)):
        messages.append("has a value in a column that the header does not name")
    return messages
