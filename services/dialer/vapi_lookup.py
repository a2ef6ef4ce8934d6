"""Owns how a provider's answer to the lookup of a call is read: as tolerantly as its callbacks, and only a call that is ours."""

from collections.abc import Mapping
from typing import Any, cast, get_args

import orjson

from services.dialer.provider import FoundCall, LookupFailedError
from services.runtime.provider_words import read_analysis, read_cost, read_identifier, read_instant, read_object, read_reason

_STATUSES = frozenset(get_args(FoundCall.__annotations__["status"]))
_CARRIERS = ("assistantOverrides", "squadOverrides")


def read_found(content: bytes, call_id: str, attempt: int) -> FoundCall | None:
    """The call whose `metadata` name this call and attempt, or `None` where the list is empty; raises `LookupFailedError`.

    A list of other calls alone says nothing: it is of a provider that does not heed what it was asked for.
    """
    try:
        calls = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise LookupFailedError("the answer can not be read") from error
    if not isinstance(calls, list):
        raise LookupFailedError("the answer is no list of calls")
    ours = next((call for call in map(read_object, calls) if _is_of(call, call_id, attempt)), None)
    if ours is not None:
        return _as_found(ours)
    if calls:
        raise LookupFailedError("the answer holds calls, and none of them is the one that was asked for")
    return None


def _is_of(call: Mapping[str, Any], call_id: str, attempt: int) -> bool:
    """Whether the call carries our ids, where we put them or where the provider shows them."""
    for place in (call, *(read_object(call.get(carrier)) for carrier in _CARRIERS)):
        metadata = read_object(place.get("metadata"))
        if metadata.get("callId") == call_id and metadata.get("attempt") in (attempt, str(attempt)):
            return True
    return False


def _as_found(call: Mapping[str, Any]) -> FoundCall:
    status = call.get("status")
    report = {
        "endedReason": read_reason(call.get("endedReason")),
        "startedAt": read_instant(call.get("startedAt")),
        "endedAt": read_instant(call.get("endedAt")),
        "cost": read_cost(call.get("cost")),
        "analysis": read_analysis(call.get("analysis")),
    }
    is_known = isinstance(status, str) and status in _STATUSES
    return FoundCall(
        read_identifier(call.get("id")),
        cast(Any, status if is_known else "queued"),
        {name: value for name, value in report.items() if value is not None},
    )
