"""Owns how a run of command records becomes one transaction's batch: read, decide, fold, and let time pass. Does no I/O."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from events.codec import decode_command_data, decode_command_envelope, encode_event
from events.commands import COMMANDS
from events.envelope import Command, Envelope, Event
from events.errors import DecodeError, InvalidDataError, UndecodableError
from services.engine.decider.advance import advance
from services.engine.decider.decide import decide, reject
from services.engine.decider.evolve import evolve
from services.engine.decider.policy import Policy
from services.engine.decider.state import PartitionState
from services.engine.ports import Batch, CommandRecord, DeadLetter

MAX_EVENTS = 5_000
"""In one transaction (design, "Commands and events")."""
_ENOUGH_EVENTS = 900
"""A command may become some 4,000 events, so none is taken on top of more than this."""

_log = logging.getLogger(__name__)


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
        batch = Batch()
        while self.waiting and len(batch.events) < _ENOUGH_EVENTS:
            record = self.waiting[0]
            try:
                events = self._handle(record, batch, now)
            except Exception:
                _log.exception("deciding failed", extra={"action": "decide", "topic": record.topic.name, "offset": record.offset})
                if self._suspect is not record and batch:
                    self._suspect = record
                    break
                if self._suspect is not record:
                    self._suspect = record
                    continue
                events = self._give_up(record, batch, now)
            for event in events:
                evolve(self.state, event)
            self._write(batch, events)
            batch.positions[record.topic] = record.offset + 1
            self.waiting.popleft()
            if self._suspect is record:
                self._suspect = None
                break
        self._write(batch, advance(self.state, now, self.policy, MAX_EVENTS - len(batch.events)))
        return batch

    def _write(self, batch: Batch, events: list[Event]) -> None:
        batch.events += [(event.org_id.encode(), encode_event(event, self.event_id())) for event in events]

    def _handle(self, record: CommandRecord, batch: Batch, now: datetime) -> list[Event]:
        try:
            envelope = decode_command_envelope(record.value)
        except UndecodableError as error:
            batch.dead.append(DeadLetter(record, str(error)))
            return []
        if not self.owns(envelope.orgid):
            batch.forwarded.append((record, envelope.orgid.encode()))
            return []
        try:
            command = decode_command_data(envelope)
        except DecodeError as error:
            batch.dead.append(DeadLetter(record, str(error)))
            return self._reject_invalid(envelope, error, now)
        return decide(self.state, command, now, self.policy)

    def _reject_invalid(self, envelope: Envelope, error: DecodeError, now: datetime) -> list[Event]:
        model = COMMANDS.get(envelope.type)
        if model is not None and not model.from_user:
            return []
        if (envelope.orgid, envelope.id) in self.state.handled:
            return []
        messages = error.messages if isinstance(error, InvalidDataError) else [str(error)]
        return [reject(envelope.orgid, envelope.id, envelope.type, envelope.subject, now, "invalid", messages)]

    def _give_up(self, record: CommandRecord, batch: Batch, now: datetime) -> list[Event]:
        batch.dead.append(DeadLetter(record, "internal-error: deciding on this command failed twice"))
        command: Command = decode_command_data(decode_command_envelope(record.value))
        if not command.data.from_user:
            return []
        message = "deciding on this command failed twice; it stands on the dead-letter topic"
        return [reject(command.org_id, command.id, command.data.type_name, command.campaign_id, now, "internal-error", [message])]
