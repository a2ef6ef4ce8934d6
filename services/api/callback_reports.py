"""Owns how a provider's callback is read, tolerantly (contract, "Telephony callbacks")."""

from collections.abc import Mapping
from typing import Any, Literal

from events.commands import ReportCall
from services.runtime.provider_words import read_analysis, read_cost, read_identifier, read_instant, read_object, read_reason

_STATUSES: Mapping[str, Literal["ringing", "in-progress", "forwarding", "ended"]] = {
    "ringing": "ringing",
    "in-progress": "in-progress",
    "forwarding": "forwarding",
    "ended": "ended",
}


def read_report(attempt: int, body: Any) -> ReportCall | None:
    """The report, or None where the message, or the status it tells, is of no kind that we know.

    What is broken in a field that may be absent is left out: a call's end must not be lost for the sake of its cost.
    """
    message = read_object(read_object(body).get("message"))
    call = read_object(message.get("call"))
    shared: dict[str, Any] = {"attempt": attempt, "provider_call_id": read_identifier(call.get("id"))}
    if message.get("type") == "end-of-call-report":
        return ReportCall(
            **shared,
            status="ended",
            final=True,
            ended_reason=read_reason(message.get("endedReason")),
            started_at=read_instant(message.get("startedAt")),
            ended_at=read_instant(message.get("endedAt")),
            cost=read_cost(message.get("cost")),
            analysis=read_analysis(message.get("analysis")),
        )
    told = message.get("status")
    status = _STATUSES.get(told) if isinstance(told, str) else None
    if message.get("type") != "status-update" or status is None:
        return None
    at = read_instant(message.get("timestamp"))
    return ReportCall(
        **shared,
        status=status,
        ended_reason=read_reason(message.get("endedReason")) if status == "ended" else None,
        started_at=at if status == "in-progress" else None,
        ended_at=at if status == "ended" else None,
    )
