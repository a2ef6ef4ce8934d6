"""The hot reading of the log agrees with the codec, and is as loud about what is no event."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from events.codec import encode_event, event_of, read_event
from events.errors import UndecodableError
from projections.reading import read_events
from tests.engine.test_properties import STEPS, play

_SAMPLES = Path(__file__).parents[1] / "events" / "samples"


def sampled_events() -> list[bytes]:
    """The frozen samples of events, as they stand on the log."""
    found = []
    for path in sorted(_SAMPLES.rglob("*.json")):
        value = orjson.loads(path.read_bytes())
        if isinstance(value, dict) and "time" in value and "specversion" in value:
            found.append(orjson.dumps(value))
    return found


def test_it_reads_every_sample_as_the_codec_does() -> None:
    samples = sampled_events()
    assert len(samples) >= 20
    assert read_events(samples) == [read_event(sample) for sample in samples]


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_it_reads_whatever_the_engine_writes_as_the_codec_does(given_steps: list[tuple[Any, ...]]) -> None:
    log = play(given_steps).log
    values = [encode_event(event, f"e-{number}") for number, event in enumerate(log)]
    assert [event_of(record) for record in read_events(values)] == log


def test_an_older_version_is_upcast() -> None:
    value = orjson.dumps({"type": "CallEnded.v0", "data": {"why": "x"}})
    upcasters = {"CallEnded.v0": ("CallEnded.v1", lambda data: {"endedReason": data["why"]})}
    assert read_events([value], upcasters) == [{"type": "CallEnded.v1", "data": {"endedReason": "x"}}]


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff"])
def test_what_is_no_json_is_an_error(value: bytes | None) -> None:
    with pytest.raises(UndecodableError):
        read_events([value])
