"""Owns how the single things that a provider says of a call are read, tolerantly (contract, "Telephony callbacks").

What is broken is `None`, since each may be absent: a call's end must not be lost for the sake of its cost.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from events.commands import MAX_COST
from events.instants import parse_instant, to_millisecond
from events.wire import MAX_DEPTH, is_deeper_than

_CONTROL = re.compile(r"[\x00-\x1f]")
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}")
_MAX_REASON_CHARACTERS = 200


def read_object(value: Any) -> Mapping[str, Any]:
    """Empty where it is none."""
    return value if isinstance(value, dict) else {}


def read_identifier(value: Any) -> str | None:
    """The provider's id of a call."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def read_reason(value: Any) -> str | None:
    """Why a call ended, cut where it is too long."""
    if not isinstance(value, str):
        return None
    return _CONTROL.sub("", value)[:_MAX_REASON_CHARACTERS] or None


def read_cost(value: Any) -> float | None:
    """In US dollars."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= MAX_COST:
        return None
    return float(value)


def read_analysis(value: Any) -> dict[str, Any] | None:
    """Unless it is nested so deeply that no command would be taken with it."""
    return value if isinstance(value, dict) and not is_deeper_than(value, MAX_DEPTH - 1) else None


def read_instant(value: Any) -> datetime | None:
    """ISO 8601 with an offset, or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            return parse_instant(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return to_millisecond(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        pass
    return None
