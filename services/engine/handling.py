"""Owns how a run of command records becomes one transaction's batch: read, decide, fold, and let time pass. Does no I/O."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from events.codec import decode_command_data, decode_command_envelope, encode_event
from events.commands import COMMANDS
from events.envelope import Envelope, Event
from events.errors import DecodeError, UndecodableError
from events.facts import RejectionReason
from events.ids import is_uuid
from events.topics import MAX_COMMAND_BYTES, MAX_EVENT_BYTES
from services.engine.decider.advance import advance
from services.engine.decider.decide import decide, reject
from services.engine.decider.evolve import evolve
from services.engine.decider.outcomes import repeat_of
from services.engine.decider.policy import Policy
from services.engine.decider.state import PartitionState
from services.engine.ports import Batch, CommandRecord, DeadLetter

MAX_EVENTS = 5_000
"""In one transaction (design, "Commands and events")."""
_ENOUGH_EVENTS = 900
"""A command may become some 4,000 events, so none is taken on top of more than this."""
_ENOUGH_BYTES = 8 * 1024 * 1024
"""Written in one transaction, so that it is over long before the broker gives it up; none is taken on top of more than this."""
_FORWARDED_BYTES = MAX_COMMAND_BYTES - 1024
"""What the broker still takes again under the org's key, uncompressed, with all that it counts beside the record."""
_READABLE_BYTES = 16 * MAX_COMMAND_BYTES
"""Of what is too large to be a command, so much is read all the same, to learn who is to be told."""
_EVENT_BYTES = MAX_EVENT_BYTES - 1024
_LONGEST_KEY_BYTES = 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one record becomes; `encoded` are the events as they go to the log."""

    events: list[Event] = field(default_factory=list)
    encoded: list[tuple[bytes, bytes]] = field(default_factory=list)
    dead: DeadLetter | None = None
    forwarded_under: bytes | None = None

    def written_bytes(self, record: CommandRecord) -> int:
        """What goes to the log because of the record, uncompressed."""
        copied = record if self.forwarded_under is not None else self.dead.record if self.dead is not None else None
        return sum(len(value) for _, value in self.encoded) + (copied.size_bytes if copied is not None else 0)


@dataclass(slots=True)
class Handler:
    """Turns records into batches for one partition, folding what it decides into `state` as it goes.

    A batch that is not committed leaves `state` ahead of the log: the owner must then throw the handler away.
    """

    state: PartitionState
    policy: Policy
    owns: Callable[[str], bool]
    event_id: Callable[[], str]
    waiting: deque[CommandRecord] = field(default_factory=deque)
    _suspect: CommandRecord | None = None

    def batch(self, clock_now: datetime) -> Batch:
        """The next batch: of the waiting commands as many as fit, then what is due; empty when there is nothing to write."""
        now = max(clock_now, self.state.last_event_at) if self.state.last_event_at else clock_now
        batch, written_bytes = Batch(), 0
        while self.waiting and len(batch.events) < _ENOUGH_EVENTS and written_bytes < _ENOUGH_BYTES:
            record = self.waiting[0]
            alone = self._suspect is record
            try:
                answer = self._answer(record, now)
            except Exception:
                _log.exception("handling failed", extra={"action": "handle", "topic": record.topic.name, "offset": record.offset})
                if not alone:
                    # tried once more alone, in the next batch
                    self._suspect = record
                    if batch:
                        return batch
                    continue
                answer = self._give_up(record, now)
            self._take(record, answer, batch)
            written_bytes += answer.written_bytes(record)
            if alone:
                self._suspect = None
                break
        due = advance(self.state, now, self.policy, MAX_EVENTS - len(batch.events))
        batch.events += self._encoded(due)
        return batch

    def _take(self, record: CommandRecord, answer: _Answer, batch: Batch) -> None:
        for event in answer.events:
            evolve(self.state, event)
        batch.events += answer.encoded
        if answer.dead is not None:
            batch.dead.append(answer.dead)
        if answer.forwarded_under is not None:
            batch.forwarded.append((record, answer.forwarded_under))
        batch.positions[record.topic] = record.offset + 1
        self.waiting.popleft()

    def _encoded(self, events: list[Event]) -> list[tuple[bytes, bytes]]:
        return [(event.org_id.encode(), encode_event(event, self.event_id())) for event in events]

    def _answer(self, record: CommandRecord, now: datetime) -> _Answer:
        """All that can fail on a command, and nothing that changes the state."""
        if record.unreadable_from is not None:
            return _Answer(dead=_unreadable(record, record.unreadable_from))
        if record.size_bytes > MAX_COMMAND_BYTES:
            return self._too_large(record, now)
        try:
            envelope = decode_command_envelope(record.value)
        except UndecodableError as error:
            return _Answer(dead=DeadLetter(record, str(error)))
        if not self.owns(envelope.orgid):
            if record.size_bytes > _FORWARDED_BYTES:
                return self._too_large(record, now)
            return _Answer(forwarded_under=envelope.orgid.encode())
        try:
            command = decode_command_data(envelope)
        except DecodeError as error:
            events = self._rejection(envelope, "invalid", error.messages, now)
            return _Answer(events, self._encoded(events), DeadLetter(record, str(error)))
        events = decide(self.state, command, now, self.policy)
        encoded = self._encoded(events)
        if any(len(value) > _EVENT_BYTES for _, value in encoded):
            message = f"what the command becomes is larger than an event may be, {MAX_EVENT_BYTES} bytes"
            events = self._rejection(envelope, "invalid", [message], now)
            return _Answer(events, self._encoded(events), DeadLetter(record, f"too-large: {message}"))
        return _Answer(events, encoded)

    def _too_large(self, record: CommandRecord, now: datetime) -> _Answer:
        """Larger than a command may be, as compressed records come past the broker's check: only the original keeps its value.

        Its user is told, where the org is this partition's and who asked can be read without much ado.
        """
        message = f"a command may be {MAX_COMMAND_BYTES} bytes with its key and headers, this one is {record.size_bytes}"
        reason = f"too-large: {message}; its value and headers stand on {record.topic.name} at its offset only"
        key = record.key if record.key is not None and len(record.key) <= _LONGEST_KEY_BYTES else b""
        dead = DeadLetter(replace(record, key=key, value=None, headers=()), reason)
        if len(record.value or b"") > _READABLE_BYTES:
            return _Answer(dead=dead)
        try:
            envelope = decode_command_envelope(record.value)
        except UndecodableError:
            return _Answer(dead=dead)
        events = self._rejection(envelope, "invalid", [message], now) if self.owns(envelope.orgid) else []
        return _Answer(events, self._encoded(events), dead)

    def _rejection(self, envelope: Envelope, reason: RejectionReason, messages: list[str], now: datetime) -> list[Event]:
        """The rejection of a user's command, or that its id was answered before; our services are told nothing."""
        model = COMMANDS.get(envelope.type)
        if model is not None and not model.from_user:
            return []
        first = self.state.handled.get((envelope.orgid, envelope.id))
        if first is not None and not first.is_of_another_request(envelope.requesthash):
            return [repeat_of(envelope.orgid, envelope.id, envelope.type, now, first.type_name, first.at, first.campaign_id)]
        campaign_id = envelope.subject if envelope.subject is not None and is_uuid(envelope.subject) else None
        return [reject(envelope.orgid, envelope.id, envelope.type, campaign_id, now, reason, messages, envelope.requesthash)]

    def _give_up(self, record: CommandRecord, now: datetime) -> _Answer:
        dead = DeadLetter(record, "internal-error: handling this command failed twice")
        message = "handling this command failed twice; it stands on the dead-letter topic"
        events = self._rejection(decode_command_envelope(record.value), "internal-error", [message], now)
        return _Answer(events, self._encoded(events), dead)


def _unreadable(record: CommandRecord, first_offset: int) -> DeadLetter:
    reason = f"undecodable: one of the records from offset {first_offset} to {record.offset} has a header whose name is not UTF-8"
    return DeadLetter(record, f"{reason}; they stand on {record.topic.name} only")
