"""The quick reading of the log at a take-over and the pydantic models give the same state, and refuse the same events."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.codec import decode_event, encode_event
from events.errors import DecodeError, UnknownTypeError
from events.facts import FACTS
from services.engine.decider.evolve import evolve
from services.engine.decider.state import PartitionState
from services.engine.replaying import replayed
from tests.engine.given import through_the_log
from tests.engine.test_properties import STEPS, play

_SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "events" / "samples").glob("*.json"))]
_EVENTS = [value for value in _SAMPLES if orjson.loads(value)["type"] in FACTS]
_ODD = st.one_of(st.none(), st.booleans(), st.integers(-2, 2_000_000), st.just(1.0), st.text(max_size=3), st.just("2030-01-01T09:00:00Z"))


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_both_readings_of_a_log_give_the_same_state(steps: list[tuple[Any, ...]]) -> None:
    log = play(steps).log
    state = PartitionState()
    for number, event in enumerate(log):
        evolve(state, replayed(encode_event(event, f"e-{number}")))
    assert state == through_the_log(log)


@pytest.mark.parametrize("value", _EVENTS, ids=lambda value: orjson.loads(value)["type"])
def test_what_is_read_of_a_sample_is_what_the_model_says(value: bytes) -> None:
    quick, full = replayed(value), decode_event(value)
    assert type(quick.data) is type(full.data)
    assert {**vars(full.data), **vars(quick.data)} == vars(full.data)
    assert (quick.org_id, quick.at, quick.campaign_id, quick.call_id) == (full.org_id, full.at, full.campaign_id, full.call_id)
    assert (quick.causation_id, quick.request_hash) == (full.causation_id, full.request_hash)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_EVENTS), st.sampled_from(["data", "envelope"]), st.data())
def test_an_event_that_only_one_of_them_takes_differs_where_the_fold_does_not_read(value: bytes, where: str, data: st.DataObject) -> None:
    record = orjson.loads(value)
    fields = record.setdefault("data", {}) if where == "data" else record
    name = data.draw(st.sampled_from(sorted(fields) or ["attempt"]))
    fields[name] = data.draw(_ODD)
    changed = orjson.dumps(record)
    try:
        full = decode_event(changed)
    except DecodeError:
        full = None
    try:
        quick = replayed(changed)
    except DecodeError:
        assert full is None
        return
    if full is not None:
        assert {**vars(full.data), **vars(quick.data)} == vars(full.data)
    else:
        assert not _is_read(quick, where, name)


def _is_read(quick: Any, where: str, name: str) -> bool:
    if where == "envelope":
        return name in ("type", "time", "data", "orgid", "causationid")
    return any(type(quick.data).model_fields[field].alias == name for field in vars(quick.data))


def test_a_type_that_is_not_known_stops_the_take_over() -> None:
    with pytest.raises(UnknownTypeError):
        replayed(_EVENTS[0].replace(orjson.loads(_EVENTS[0])["type"].encode(), b"CallDreamt.v1"))
