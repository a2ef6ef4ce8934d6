"""Owns the hot reading of the log: bytes to the events that the folds take, at the speed of the JSON parser.

Of a call's events only what the folds need is decoded, into typed fields. The pydantic models stay the definition: tests
hold that `events.codec.read_event` reads the same of whatever the engine writes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, cast

import msgspec
import orjson

from events.codec import read_event
from events.envelope import EventRecord
from events.errors import UndecodableError
from events.facts import FACTS
from events.upcasting import UPCASTERS, Upcaster

CALL_EVENTS = frozenset(
    {
        "CallScheduled.v1",
        "CallQueued.v1",
        "CallClaimed.v1",
        "CallPlaced.v1",
        "CallRinging.v1",
        "CallStarted.v1",
        "CallForwarded.v1",
        "CallOutcomeUnknown.v1",
        "CallEnded.v1",
        "CallAnalyzed.v1",
        "ContactSkipped.v1",
        "PredialFailed.v1",
    }
)
"""The events whose `data` is read as `CallData`."""
_ABSENT = msgspec.Raw()
AT_A_TIME = 250
"""Events that are read, and folded, together: what is made of them stays in a processor's own cache of one MiB."""


class CallData(msgspec.Struct, rename="camel", gc=False):
    """What the folds need of the `data` of any call's event; a field that its type has not, or that is absent, stands at its default.

    What stands raw is JSON text that nobody here looks into.
    """

    attempt: int = 0
    position: int = -1
    customer: msgspec.Raw = _ABSENT
    phone_number_id: str | None = None
    entry: int | None = None
    part: int | None = None
    claimant: str | None = None
    outcome_due_at: str | None = None
    ends_by: str | None = None
    provider: str | None = None
    provider_call_id: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    ended_reason: str = ""
    report_due_at: str | None = None
    cost: float | None = None
    analysis: msgspec.Raw = _ABSENT


class LogEvent(msgspec.Struct, gc=False):
    """An event as the folds take it: upcast, its times `iso` text; `data` is `CallData` of a call's events, else the JSON object."""

    id: str
    type: str
    orgid: str
    time: str
    subject: str = ""
    callid: str = ""
    causationid: str | None = None
    requesthash: str | None = None
    data: Any = msgspec.field(default_factory=dict)


_KNOWN_TYPE = Literal.__getitem__((*FACTS, *UPCASTERS))
"""So that every event of a type has one and the same text, whose hash is known: the folds look by it time and again."""
_CallEvent = msgspec.defstruct(
    "_CallEvent", [("type", _KNOWN_TYPE), ("data", CallData, msgspec.field(default_factory=CallData))], bases=(LogEvent,), gc=False
)
_decode = cast(Callable[[Any], LogEvent], msgspec.json.Decoder(_CallEvent).decode)


def read_events(values: Sequence[bytes | None], upcasters: Mapping[str, Upcaster] = UPCASTERS) -> list[LogEvent]:
    """The events of a batch, upcast; raises `UndecodableError` where one is none, or a call's event is not what its type says."""
    try:
        events = [_decode(value) for value in values]
    except (msgspec.MsgspecError, TypeError, ValueError):
        return [log_event(read_event(value, upcasters)) for value in values]
    as_they_are = CALL_EVENTS - upcasters.keys()
    for number in [number for number, event in enumerate(events) if event.type not in as_they_are]:
        events[number] = log_event(read_event(values[number], upcasters))
    return events


def iterate_events(values: Sequence[bytes | None]) -> Iterator[LogEvent]:
    """The same events, read some at a time while they are taken: they stay in the processor's caches, and few in memory."""
    parts = (values[start : start + AT_A_TIME] for start in range(0, len(values), AT_A_TIME))
    return chain.from_iterable(map(read_events, parts))


def log_event(record: EventRecord) -> LogEvent:
    """The same event as the folds take it; raises `UndecodableError`."""
    if record["type"] in CALL_EVENTS:
        try:
            return _decode(orjson.dumps(record))
        except (msgspec.MsgspecError, ValueError) as error:
            raise UndecodableError([f"{record['type']} {record['id']}: {error}"]) from error
    return LogEvent(
        id=record["id"],
        type=record["type"],
        orgid=record["orgid"],
        time=record["time"],
        subject=record.get("subject", ""),
        callid=record.get("callid", ""),
        causationid=record.get("causationid"),
        requesthash=record.get("requesthash"),
        data=record["data"],
    )
