"""The contract's "CSV of contacts": what a row becomes, and what is said of a row that can not be taken."""

import csv
import io
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.csv_contacts import MAX_COLUMNS, MAX_ROW_CHARACTERS, BadLine, Contact, UnreadableCsvError, read_contacts


def read(text: str, max_rows: int = 100) -> list[dict[str, Any] | tuple[int, list[str]]]:
    """The contacts as JSON, bad lines as their number and messages."""
    items = read_contacts(io.StringIO(text, newline=""), max_rows)
    return [orjson.loads(item.json) if isinstance(item, Contact) else (item.line, item.messages) for item in items]


def test_every_other_populated_column_becomes_a_variable_under_its_exact_header() -> None:
    text = "number,name,City ,plan\n+14155550101,Ada,London,\n+14155550102,,,gold\n"
    assert read(text) == [
        {"number": "+14155550101", "name": "Ada", "assistantOverrides": {"variableValues": {"City ": "London"}}},
        {"number": "+14155550102", "assistantOverrides": {"variableValues": {"plan": "gold"}}},
    ]


@pytest.mark.parametrize("written", ["+1 (415) 555-0101", "'+14155550101", "+1-415-555-0101 "])
def test_parentheses_spaces_dashes_and_single_quotes_are_stripped_from_numbers(written: str) -> None:
    assert read(f"number\n{written}\n") == [{"number": "+14155550101"}]


def test_quoted_cells_hold_commas_quotes_and_line_breaks() -> None:
    assert read('name,number,note\r\n"Ada, Countess",+14155550101,"said ""hi""\r\nand left"\r\n') == [
        {"number": "+14155550101", "name": "Ada, Countess", "assistantOverrides": {"variableValues": {"note": 'said "hi"\r\nand left'}}}
    ]


def test_blank_lines_are_passed_over_and_short_rows_have_empty_cells() -> None:
    assert read("number,name\n\n+14155550101\n\n") == [{"number": "+14155550101"}]


def test_a_bad_row_is_named_by_the_line_at_which_it_begins() -> None:
    text = 'number,note\n+14155550101,"two\nlines"\n12,x\n,\n+14155550102,x\n'
    assert [item if isinstance(item, tuple) else item["number"] for item in read(text)] == [
        "+14155550101",
        (4, ["number must be at least 3 characters long"]),
        (5, ["number must be at least 3 characters long"]),
        "+14155550102",
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("+14155550101,a,,c", "has 4 columns where the header has 3"),
        ("+14155550101,a,b", "has a value in a column that the header does not name"),
        ("4155550101", "number must be E.164: + and 2 to 15 digits, the first not 0, such as +14155551234"),
        (f"+14155550101,{'x' * 41}", "name must be at most 40 characters long"),
        ('"+14155550101"x,a', "is no CSV: ',' expected after '\"'"),
    ],
)
def test_a_row_that_can_not_be_taken_says_what_would_be_right(row: str, message: str) -> None:
    ((line, messages),) = read(f"number,name,\n{row}\n")
    assert (line, messages) == (2, [message])


def test_a_row_that_is_not_utf_8_is_a_bad_line() -> None:
    text = io.TextIOWrapper(
        io.BytesIO(b"number,name\n+14155550101,\xff\n+14155550102,Z\xc3\xbc\n"), "utf-8-sig", "surrogateescape", newline=""
    )
    bad, good = read_contacts(text, 2)
    assert bad == BadLine(2, ["must be UTF-8"])
    assert isinstance(good, Contact)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 must be a header with a column number"),
        ("Number,name\n+14155550101,Ada\n", "line 1 must be a header with a column number"),
        ("number;name\n", "line 1 must be a header with a column number"),
        ("number,city,city\n", "line 1 must name each column once, these stand twice: city"),
        ("number,\udcff\n", "line 1 must be UTF-8"),
        ("number\n" + "1" * MAX_ROW_CHARACTERS, f"line 2 must be shorter than {MAX_ROW_CHARACTERS} characters"),
        ("number\n\n" + '"\nx",' * (MAX_ROW_CHARACTERS // 5 + 1), f"line 3 must be shorter than {MAX_ROW_CHARACTERS} characters"),
        ('"\nx",' * (MAX_ROW_CHARACTERS // 5 + 1) + "number\n", f"line 1 must be shorter than {MAX_ROW_CHARACTERS} characters"),
        ("number" + ",x" * MAX_COLUMNS, f"line 1 must name at most {MAX_COLUMNS} columns, these are {MAX_COLUMNS + 1}"),
    ],
)
def test_a_csv_without_a_usable_header_is_refused_as_a_whole(text: str, message: str) -> None:
    with pytest.raises(UnreadableCsvError, match=message):
        read(text)


def test_rows_that_together_are_longer_than_one_may_be_are_taken() -> None:
    row = '+14155550101,"' + "\n" * (MAX_ROW_CHARACTERS // 20) + '"\n'
    assert len(read("number,note\n" + row * 21)) == 21


@pytest.mark.parametrize("row", ["+14155550101", "x", ""])
def test_good_bad_and_blank_lines_all_count_towards_those_that_are_read(row: str) -> None:
    text = "number\n" + 3 * f"{row}\n"
    assert len(read(text, max_rows=3)) == (3 if row else 0)
    with pytest.raises(UnreadableCsvError, match="at most 2 lines are read at once, blank ones among them"):
        read(text, max_rows=2)


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.tuples(st.from_regex(r"\+[1-9][0-9]{4,14}", fullmatch=True), _CELLS), min_size=1, max_size=5))
def test_what_a_csv_writer_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("number", "v"), *rows])
    expected = [
        {"number": number} | ({"assistantOverrides": {"variableValues": {"v": value}}} if value and not value.isspace() else {})
        for number, value in rows
    ]
    assert read(text.getvalue()) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_is_read_to_its_end_without_a_fault(text: str) -> None:
    for item in read(f"number,name\n{text}"):
        assert isinstance(item, dict | tuple)
