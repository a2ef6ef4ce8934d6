"""Owns the fold that remembers what each user's command yielded first (design, "Commands and events")."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from events.envelope import EventRecord
from events.facts import ANSWERS_USER
from events.instants import iso, parse_instant
from events.topics import COMMANDS_KEPT

_REFUSALS = frozenset({"CommandRejected.v1", "CommandHadNoEffect.v1"})


@dataclass(frozen=True, slots=True)
class HandledRow:
    """See `projections.store.tables` for what the fields mean."""

    org_id: str
    command_id: str
    partition: int
    campaign_id: str | None
    first_type: str
    first_at: str
    rejection: str | None
    request_hash: str | None


def forgotten_before(at: str) -> str:
    """What was handled before this is forgotten at `at`, an event's time, so that every replay forgets alike; both are `iso` text."""
    return iso(parse_instant(at) - COMMANDS_KEPT)


def fold_handled(known: dict[tuple[str, str], HandledRow], event: EventRecord, partition: int) -> HandledRow | None:
    """The row to remember by this event, put into `known`; `None` where it answers no user or its command is known already.

    `known` must hold the rows of all commands that the batch names; a row that is forgotten by now is replaced.
    """
    if event["type"] not in ANSWERS_USER or "causationid" not in event:
        return None
    command_id = event["causationid"]
    key = (event["orgid"], command_id)
    first = known.get(key)
    if first is not None and (first.first_at == event["time"] or first.first_at >= forgotten_before(event["time"])):
        return None
    rejection = orjson.dumps(event["data"]).decode() if event["type"] in _REFUSALS else None
    row = HandledRow(
        event["orgid"], command_id, partition, event.get("subject"), event["type"], event["time"], rejection, event.get("requesthash")
    )
    known[key] = row
    return row


def named_commands(events: Iterable[EventRecord]) -> list[tuple[str, str]]:
    """Org and id of each command that the events answer, each once, in the order of the log."""
    found = {(event["orgid"], event["causationid"]): None for event in events if "causationid" in event and event["type"] in ANSWERS_USER}
    return list(found)
