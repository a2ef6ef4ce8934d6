"""Owns the quick reading of the log when a partition is taken over: of each fact only what the fold of the engine reads.

The pydantic models stay the definition, and tests hold both readings together. A field that the fold reads and that is absent or of
another type is the models' to judge; a field that it does not read is not looked at.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from events import facts
from events.codec import event_of, read_event
from events.envelope import Event, EventRecord
from events.instants import parse_instant
from events.upcasting import UPCASTERS, Upcaster
from events.wire import made

_MOST_ATTEMPTS = 1_000_000
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}")
_instant = lru_cache(maxsize=64)(parse_instant)
_NONE: set[str] = set()


def replayed(value: bytes | None, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> Event:
    """The event with what `evolve` reads of its fact; any other field of it may be missing. Raises a `DecodeError`.

    Of a campaign's own events, which are few, the whole model is read.
    """
    record = read_event(value, upcasters)
    quick = _QUICK.get(record["type"])
    if quick is None:
        return event_of(record)
    try:
        return Event(
            _identifier(record["orgid"]),
            _instant(record["time"]),
            quick(record["data"]),
            _text(record, "subject"),
            _text(record, "callid"),
            _identifier_or_none(record.get("causationid")),
            _text_or_none(cast(Mapping[str, Any], record), "requesthash"),
        )
    except (KeyError, TypeError, ValueError):
        return event_of(record)


def _text(record: EventRecord, name: str) -> str:
    value = cast(Mapping[str, Any], record)[name]
    if type(value) is not str:
        raise TypeError(name)
    return value


def _text_or_none(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is not None and type(value) is not str:
        raise TypeError(name)
    return value


def _identifier(value: Any) -> str:
    if _IDENTIFIER.fullmatch(value) is None:
        raise ValueError(value)
    return str(value)


def _identifier_or_none(value: Any) -> str | None:
    return None if value is None else _identifier(value)


def _count(data: Mapping[str, Any], name: str, least: int = 0) -> int:
    value = data[name]
    if type(value) is not int or value < least:
        raise TypeError(name)
    return value


def _count_or_none(data: Mapping[str, Any], name: str) -> int | None:
    return None if data.get(name) is None else _count(data, name)


def _attempt(data: Mapping[str, Any]) -> int:
    attempt = _count(data, "attempt", 1)
    if attempt > _MOST_ATTEMPTS:
        raise ValueError("attempt")
    return attempt


def _instant_or_none(data: Mapping[str, Any], name: str) -> datetime | None:
    value = data.get(name)
    return None if value is None else _instant(value)


def _scheduled(data: Mapping[str, Any]) -> facts.Fact:
    values = {"position": _count(data, "position"), "part": _count_or_none(data, "part")}
    return made(facts.CallScheduled, values, _NONE)


def _of_attempt(model: type[facts.Fact]) -> Callable[[Mapping[str, Any]], facts.Fact]:
    def read(data: Mapping[str, Any]) -> facts.Fact:
        return made(model, {"attempt": _attempt(data)}, _NONE)

    return read


def _claimed(data: Mapping[str, Any]) -> facts.Fact:
    values = {
        "attempt": _attempt(data),
        "outcome_due_at": _instant(data["outcomeDueAt"]),
        "ends_by": _instant(data["endsBy"]),
        "provider": _identifier_or_none(data.get("provider")),
    }
    return made(facts.CallClaimed, values, _NONE)


def _placed(data: Mapping[str, Any]) -> facts.Fact:
    return made(facts.CallPlaced, {"attempt": _attempt(data), "provider": _identifier_or_none(data.get("provider"))}, _NONE)


def _started(data: Mapping[str, Any]) -> facts.Fact:
    return made(facts.CallStarted, {"attempt": _attempt(data), "started_at": _instant(data["startedAt"])}, _NONE)


def _unknown(data: Mapping[str, Any]) -> facts.Fact:
    return made(facts.CallOutcomeUnknown, {"attempt": _attempt(data), "ends_by": _instant(data["endsBy"])}, _NONE)


def _ended(data: Mapping[str, Any]) -> facts.Fact:
    return made(facts.CallEnded, {"report_due_at": _instant_or_none(data, "reportDueAt")}, _NONE)


_QUICK: dict[str, Callable[[Mapping[str, Any]], facts.Fact]] = {
    facts.CallScheduled.type_name: _scheduled,
    facts.CallClaimed.type_name: _claimed,
    facts.CallPlaced.type_name: _placed,
    facts.CallStarted.type_name: _started,
    facts.CallOutcomeUnknown.type_name: _unknown,
    facts.CallEnded.type_name: _ended,
} | {model.type_name: _of_attempt(model) for model in (facts.CallQueued, facts.CallRinging, facts.CallForwarded, facts.CallAnalyzed)}
