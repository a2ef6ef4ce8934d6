"""Owns how a provider's callback is read, tolerantly (contract, "Telephony callbacks")."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from events.commands import MAX_COST, ReportCall
from events.instants import parse_instant, to_millisecond
from events.wire import MAX_DEPTH, is_deeper_than

_STATUSES: Mapping[str, Literal["ringing", "in-progress", "forwarding", "ended"]] = {
    "ringing": "ringing",
    "in-progress": "in-progress",
    "forwarding": "forwarding",
    "ended": "ended",
}
_CONTROL = re.compile(r"[\x00-\x1f]")
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}")
_MAX_REASON_CHARACTERS = 200


def read_report(attempt: int, body: Any) -> ReportCall | None:
    """The report, or None where the message, or the status it tells, is of no kind that we know.

    What is broken in a field that may be absent is left out: a call's end must not be lost for the sake of its cost.
    """
    message = _object(_object(body).get("message"))
    call = _object(message.get("call"))
    shared: dict[str, Any] = {"attempt": attempt, "provider_call_id": _identifier(call.get("id"))}
    if message.get("type") == "end-of-call-report":
        return ReportCall(
            **shared,
            status="ended",
            final=True,
            ended_reason=_reason(message.get("endedReason")),
            started_at=_instant(message.get("startedAt")),
            ended_at=_instant(message.get("endedAt")),
            cost=_cost(message.get("cost")),
            analysis=_analysis(message.get("analysis")),
        )
    told = message.get("status")
    status = _STATUSES.get(told) if isinstance(told, str) else None
    if message.get("type") != "status-update" or status is None:
        return None
    at = _instant(message.get("timestamp"))
    return ReportCall(
        **shared,
        status=status,
        ended_reason=_reason(message.get("endedReason")) if status == "ended" else None,
        started_at=at if status == "in-progress" else None,
        ended_at=at if status == "ended" else None,
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def _reason(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return _CONTROL.sub("", value)[:_MAX_REASON_CHARACTERS] or None


def _cost(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= MAX_COST:
        return None
    return float(value)


def _analysis(value: Any) -> dict[str, Any] | None:
    """Unless it is nested so deeply that no command would be taken with it."""
    return value if isinstance(value, dict) and not is_deeper_than(value, MAX_DEPTH - 1) else None


def _instant(value: Any) -> datetime | None:
    """ISO 8601 with an offset, or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            return parse_instant(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return to_millisecond(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        pass
    return None
