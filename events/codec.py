"""Owns how commands and events become bytes and back: orjson for the bytes, the pydantic models for their meaning."""

from collections.abc import Mapping
from typing import Any, cast

import orjson
from pydantic import ValidationError

from events.commands import COMMANDS, CommandData
from events.envelope import ENGINE_SOURCE, Command, Envelope, Event, EventRecord
from events.errors import InvalidDataError, UndecodableError, UnknownTypeError
from events.facts import FACTS
from events.ids import is_uuid
from events.instants import iso
from events.upcasting import UPCASTERS, Upcaster, upcast
from events.validation import messages_of
from events.wire import MAX_DEPTH, is_deeper_than

_BEGINNING = b'{"specversion":"1.0","id":"'
_BEFORE_TYPE = f'","source":"{ENGINE_SOURCE}","type":"'.encode()
_EVENT_ATTRIBUTES = ("id", "source", "type", "orgid", "time")


def encode_command(command: Command, data: dict[str, Any] | None = None) -> bytes:
    """The command's record value; its key is the `orgId`. `data` is what orjson makes the command's data of, where that is at hand."""
    record: dict[str, Any] = {"specversion": "1.0", "id": command.id, "source": command.source, "type": command.data.type_name}
    if command.campaign_id is not None:
        record["subject"] = command.campaign_id
    record["orgid"] = command.org_id
    if command.call_id is not None:
        record["callid"] = command.call_id
    if command.request_hash is not None:
        record["requesthash"] = command.request_hash
    record["data"] = command.data.to_wire() if data is None else data
    return orjson.dumps(record)


def decode_command_envelope(value: bytes | None) -> Envelope:
    """Read the envelope alone, so that who asked is known even where `data` is wrong; raises `UndecodableError`."""
    try:
        return Envelope.model_validate(_json_object(value))
    except ValidationError as error:
        raise UndecodableError(messages_of(error)) from error


def decode_command_data(envelope: Envelope, types: Mapping[str, type[CommandData]] = COMMANDS) -> Command:
    """Read the command, of one of these types, out of its envelope; raises `UnknownTypeError` or `InvalidDataError`."""
    model = types.get(envelope.type)
    if model is None:
        raise UnknownTypeError([f"type {envelope.type} is unknown; known are {', '.join(types)}"])
    if is_deeper_than(envelope.data, MAX_DEPTH):
        raise InvalidDataError([f"data must be nested at most {MAX_DEPTH} deep"])
    messages = _address_rules(envelope, model)
    try:
        data = model.model_validate(envelope.data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidDataError([*messages, *messages_of(error)]) from error
    if messages:
        raise InvalidDataError(messages)
    return Command(
        id=envelope.id,
        org_id=envelope.orgid,
        data=data,
        source=envelope.source,
        campaign_id=envelope.subject,
        call_id=envelope.callid,
        request_hash=envelope.requesthash,
    )


def decode_command(value: bytes | None, types: Mapping[str, type[CommandData]] = COMMANDS) -> Command:
    """Both steps; raises a `DecodeError`."""
    return decode_command_data(decode_command_envelope(value), types)


def _address_rules(envelope: Envelope, model: type[CommandData]) -> list[str]:
    if model.without_subject is not None and envelope.subject is not None:
        return [f"subject should not exist: {model.without_subject}"]
    messages = []
    if model.without_subject is None and envelope.subject is None:
        messages.append("subject is required: the id of the campaign")
    if not model.from_user and envelope.callid is None:
        messages.append("callid is required: the id of the call")
    for attribute, value in (("subject", envelope.subject), ("callid", envelope.callid)):
        if value is not None and not is_uuid(value):
            messages.append(f"{attribute} must be a UUID in lower case with dashes")
    return messages


def encode_event(event: Event, event_id: str) -> bytes:
    """The event's record value; its key is the `orgId`."""
    record: dict[str, Any] = {"specversion": "1.0", "id": event_id, "source": ENGINE_SOURCE, "type": event.data.type_name}
    if event.campaign_id is not None:
        record["subject"] = event.campaign_id
    record["time"] = iso(event.at)
    record["orgid"] = event.org_id
    if event.call_id is not None:
        record["callid"] = event.call_id
    if event.causation_id is not None:
        record["causationid"] = event.causation_id
    if event.request_hash is not None:
        record["requesthash"] = event.request_hash
    record["data"] = event.data.to_wire()
    return orjson.dumps(record)


def read_event(value: bytes | None, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> EventRecord:
    """The event as a plain record, upcast, its `data` not validated: the fast reading of what only the engine writes.

    Raises `UndecodableError` where it is no envelope; an unknown type is returned as it is, for the reader to judge.
    """
    record = _json_object(value)
    for attribute in _EVENT_ATTRIBUTES:
        if not isinstance(record.get(attribute), str):
            raise UndecodableError([f"{attribute} is required and must be a string"])
    data = record.setdefault("data", {})
    if not isinstance(data, dict):
        raise UndecodableError(["data must be an object"])
    if record["type"] in upcasters:
        record["type"], record["data"] = upcast(record["type"], data, upcasters)
    return cast(EventRecord, record)


def type_at_a_glance(value: bytes | None) -> str | None:
    """The type of an event that `encode_event` wrote, by its place in the bytes; `None` where they do not begin as such an event's do."""
    if value is None or not value.startswith(_BEGINNING):
        return None
    at = value.find(b'"', len(_BEGINNING))
    if not value.startswith(_BEFORE_TYPE, at):
        return None
    begin = at + len(_BEFORE_TYPE)
    return value[begin : value.index(b'"', begin)].decode()


def decode_event(value: bytes | None, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> Event:
    """The event with its fact validated, tolerant of fields added later; raises a `DecodeError`, `UnknownTypeError` among them."""
    return event_of(read_event(value, upcasters))


def event_of(record: EventRecord) -> Event:
    """The typed event of a record; raises `UnknownTypeError` or `InvalidDataError`."""
    model = FACTS.get(record["type"])
    if model is None:
        raise UnknownTypeError([f"type {record['type']} is unknown to this release"])
    try:
        envelope = Envelope.model_validate(record)
        data = model.model_validate(envelope.data, extra="ignore")
    except ValidationError as error:
        raise InvalidDataError(messages_of(error)) from error
    if envelope.time is None:
        raise InvalidDataError(["time is required"])
    return Event(
        org_id=envelope.orgid,
        at=envelope.time,
        data=data,
        campaign_id=envelope.subject,
        call_id=envelope.callid,
        causation_id=envelope.causationid,
        request_hash=envelope.requesthash,
    )


def _json_object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise UndecodableError(["the record has no value"])
    try:
        record = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise UndecodableError([f"not JSON: {error}"]) from error
    if not isinstance(record, dict):
        raise UndecodableError(["not a JSON object"])
    return record
