"""Owns the log's clock: milliseconds since it begins, as the instants that the events write."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from events.instants import iso

_BEGINS = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)


def instant_bytes(milliseconds: int) -> bytes:
    """As `events.instants.iso` writes it."""
    return _second(milliseconds // 1_000) + b"%03dZ" % (milliseconds % 1_000)


@lru_cache(maxsize=1_024)
def _second(seconds: int) -> bytes:
    return iso(_BEGINS + timedelta(seconds=seconds)).removesuffix("000Z").encode()
