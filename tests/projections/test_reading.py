"""The hot reading of the log agrees with the codec and so with the models, and is as loud about what is no event."""

from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings

from events.codec import encode_event, event_of, read_event
from events.errors import UndecodableError
from events.facts import FACTS
from projections.campaign_progress.call_fold import CALL_FOLDS
from projections.campaign_progress.fold import SCHEDULED
from projections.reading import CALL_EVENTS, CallData, LogEvent, read_events
from tests.engine.test_properties import STEPS, play

_SAMPLES = Path(__file__).parents[1] / "events" / "samples"
_WIRE_NAMES = {field.encode_name: field.name for field in msgspec.structs.fields(CallData)}


def sampled_events() -> list[bytes]:
    """The frozen samples of events, as they stand on the log."""
    found = []
    for path in sorted(_SAMPLES.rglob("*.json")):
        value = orjson.loads(path.read_bytes())
        if isinstance(value, dict) and "time" in value and "specversion" in value:
            found.append(orjson.dumps(value))
    return found


def whole(event: LogEvent) -> dict[str, Any]:
    """What was read of the event, as the codec gives it; raw JSON is parsed."""
    attributes = {name: getattr(event, name) for name in event.__struct_fields__ if name != "data"}
    data = event.data
    if isinstance(data, CallData):
        read = {name: getattr(data, field) for name, field in _WIRE_NAMES.items()}
        raw = {name: orjson.loads(bytes(value)) for name, value in read.items() if isinstance(value, msgspec.Raw) and value}
        data = {name: value for name, value in (read | raw).items() if value != getattr(CallData(), _WIRE_NAMES[name])}
    return {name: value for name, value in attributes.items() if value} | {"data": data}


def as_the_codec_reads_it(value: bytes) -> dict[str, Any]:
    """Without what no fold looks at."""
    record = dict(read_event(value)) | {}
    known = {name: record[name] for name in LogEvent.__struct_fields__ if name in record}
    if record["type"] in CALL_EVENTS:
        known["data"] = {name: field for name, field in record["data"].items() if name in _WIRE_NAMES}  # type: ignore[attr-defined]
    return known


def test_it_reads_every_sample_as_the_codec_does() -> None:
    samples = sampled_events()
    assert len(samples) >= 20
    assert [whole(event) for event in read_events(samples)] == [as_the_codec_reads_it(sample) for sample in samples]


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_it_reads_whatever_the_engine_writes_as_the_codec_does(given_steps: list[tuple[Any, ...]]) -> None:
    log = play(given_steps).log
    values = [encode_event(event, f"e-{number}") for number, event in enumerate(log)]
    assert [event_of(read_event(value)) for value in values] == log
    assert [whole(event) for event in read_events(values)] == [as_the_codec_reads_it(value) for value in values]


def test_what_is_read_of_a_calls_events_is_what_their_models_say() -> None:
    assert set(CALL_FOLDS) | {SCHEDULED} == CALL_EVENTS
    aliases = {field.alias or name for type_name in CALL_EVENTS for name, field in FACTS[type_name].model_fields.items()}
    assert set(_WIRE_NAMES) <= aliases
    # the validity of a claim is the dialer's business, why pre-dial failed is the reader's of the log
    assert aliases - set(_WIRE_NAMES) == {"validUntil", "error"}


def test_an_older_version_is_upcast() -> None:
    record = {"specversion": "1.0", "id": "e", "source": "s", "type": "CallEnded.v0", "orgid": "o", "time": "t", "data": {"why": "x"}}
    upcasters = {"CallEnded.v0": ("CallEnded.v1", lambda data: {"endedReason": data["why"]})}
    (event,) = read_events([orjson.dumps(record)], upcasters)
    assert (event.type, event.data.ended_reason) == ("CallEnded.v1", "x")


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]", b'{"type":"CallEnded.v1"}'])
def test_what_is_no_event_is_an_error(value: bytes | None) -> None:
    with pytest.raises(UndecodableError):
        read_events([value])


def test_a_calls_event_whose_data_is_not_what_its_type_says_is_an_error() -> None:
    (sample,) = [value for value in sampled_events() if read_event(value)["type"] == "CallQueued.v1"][:1]
    record = read_event(sample)
    record["data"]["attempt"] = "first"
    with pytest.raises(UndecodableError, match="attempt"):
        read_events([orjson.dumps(record)])
