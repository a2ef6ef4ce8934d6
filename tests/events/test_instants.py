"""Instants look the same whatever they are: read back as they were, and sorted as text as they sort."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.instants import iso, parse_instant, to_millisecond

instants = st.datetimes(timezones=st.just(UTC)).map(to_millisecond)


@given(instants, instants)
def test_what_is_written_reads_back_and_sorts_as_text(one: datetime, other: datetime) -> None:
    assert parse_instant(iso(one)) == one
    assert (iso(one) < iso(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2030-01-31T09:00:00Z", "2030-01-31T09:00:00.000Z"),
        ("2030-01-31T09:00:00.1239999+01:00", "2030-01-31T08:00:00.123Z"),
        ("0346-12-09T17:28:59.89+10:51", "0346-12-09T06:37:59.890Z"),
    ],
)
def test_an_instant_is_written_in_utc_at_the_millisecond(text: str, written: str) -> None:
    assert iso(parse_instant(text)) == written
