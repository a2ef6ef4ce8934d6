"""Owns how instants look: aware UTC at millisecond precision, written as RFC 3339 with `Z`."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_EXAMPLE = "2030-01-31T09:00:00Z"


def to_millisecond(instant: datetime) -> datetime:
    """The same instant in UTC, cut (never rounded up) to the millisecond."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@lru_cache(maxsize=16)
def iso(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and `Z`; sorts as text exactly as the instants sort."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_instant(text: str) -> datetime:
    """Read ISO 8601 with an offset; raises `ValueError` where the offset is missing or the text is no instant."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None or "T" not in text.upper():
        raise ValueError(text)
    return to_millisecond(instant)


def _read(value: Any) -> datetime:
    try:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError(value)
            return to_millisecond(value)
        if isinstance(value, str):
            return parse_instant(value)
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError("instant", "must be an ISO 8601 date-time with an offset, such as {example}", {"example": _EXAMPLE})


Instant = Annotated[
    datetime,
    BeforeValidator(_read),
    PlainSerializer(iso, return_type=str, when_used="always"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
