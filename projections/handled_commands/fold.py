"""Owns the fold that remembers what each user's command yielded first (design, "Commands and events")."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from events.facts import ANSWERS_USER
from events.instants import iso, parse_instant
from events.topics import COMMAND_IDS_KEPT
from projections.reading import LogEvent

_DAY = len("2030-01-31")
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
    return iso(parse_instant(at) - COMMAND_IDS_KEPT)


def answers_to_users(events: Iterable[LogEvent]) -> list[LogEvent]:
    """Those that say what became of a user's command."""
    return [event for event in events if event.type in ANSWERS_USER and event.causationid is not None]


def fold_handled(known: dict[tuple[str, str], HandledRow], event: LogEvent, partition: int) -> HandledRow | None:
    """The row to remember by this event, put into `known`; `None` where it answers no user or its command is known already.

    `known` must hold the rows of all commands that the batch names; a row that is forgotten by now is replaced.
    """
    command_id = event.causationid
    if command_id is None or event.type not in ANSWERS_USER:
        return None
    key = (event.orgid, command_id)
    first = known.get(key)
    if first is not None and not _is_forgotten(first.first_at, event.time):
        return None
    rejection = orjson.dumps(event.data).decode() if event.type in _REFUSALS else None
    row = HandledRow(event.orgid, command_id, partition, event.subject or None, event.type, event.time, rejection, event.requesthash)
    known[key] = row
    return row


def named_commands(answers: Iterable[LogEvent]) -> list[tuple[str, str]]:
    """Org and id of each command that `answers_to_users` answer, each once, in the order of the log."""
    return list({(event.orgid, event.causationid or ""): None for event in answers})


def _is_forgotten(first_at: str, at: str) -> bool:
    # most commands are answered within a day, which needs no arithmetic
    return first_at[:_DAY] != at[:_DAY] and first_at < forgotten_before(at)
