"""Every command and event that was ever written must be read for ever: each has a frozen sample, never edited."""

from pathlib import Path

import orjson
import pytest

from events.codec import decode_command, decode_event, encode_command, encode_event, read_event
from events.commands import COMMANDS
from events.errors import UnknownTypeError
from events.facts import FACTS
from events.schemas import webhook_state_schemas
from events.webhooks import WEBHOOK_COMMAND_TYPES, read_webhook_state

SAMPLES = Path(__file__).parent / "samples"
ALL_COMMANDS = COMMANDS | WEBHOOK_COMMAND_TYPES
_LATER = {"addedByALaterRelease": {"deep": [1, None]}}


def sample(type_name: str) -> bytes:
    return (SAMPLES / f"{type_name}.json").read_bytes()


def test_every_type_has_a_frozen_sample() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == {*FACTS, *ALL_COMMANDS}
    assert {path.stem for path in SAMPLES.glob("webhook-state/*.json")} == webhook_state_schemas().keys()


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_a_frozen_event_decodes_and_keeps_every_field(type_name: str) -> None:
    event = decode_event(sample(type_name))
    assert orjson.loads(encode_event(event, "5f3c-1")) == orjson.loads(sample(type_name))


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_an_event_with_fields_of_a_later_release_still_decodes(type_name: str) -> None:
    record = orjson.loads(sample(type_name))
    record["data"] |= _LATER
    record |= {"traceparent": "00-1"}
    assert decode_event(orjson.dumps(record)) == decode_event(sample(type_name))


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_the_fast_reading_and_the_models_agree(type_name: str) -> None:
    record, event = read_event(sample(type_name)), decode_event(sample(type_name))
    assert record["data"] == event.data.to_wire()
    assert (record["orgid"], record.get("subject"), record.get("callid")) == (event.org_id, event.campaign_id, event.call_id)


@pytest.mark.parametrize("type_name", sorted(ALL_COMMANDS))
def test_a_frozen_command_decodes_and_keeps_every_field(type_name: str) -> None:
    command = decode_command(sample(type_name), ALL_COMMANDS)
    assert orjson.loads(encode_command(command)) == orjson.loads(sample(type_name))


@pytest.mark.parametrize("name", sorted(webhook_state_schemas()))
def test_a_frozen_state_of_a_webhook_decodes_with_fields_of_a_later_release_too(name: str) -> None:
    record = orjson.loads(sample(f"webhook-state/{name}"))
    state = read_webhook_state(record | _LATER)
    assert (type(state).__name__, state.to_wire()) == (name, record)


@pytest.mark.parametrize("type_name", sorted(WEBHOOK_COMMAND_TYPES))
def test_a_command_of_webhooks_is_none_of_campaigns(type_name: str) -> None:
    with pytest.raises(UnknownTypeError):
        decode_command(sample(type_name))
