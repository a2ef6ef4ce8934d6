"""Owns what hypothesis makes up: any JSON, bytes that nearly are some, and our own samples with something in them changed."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from events.commands import COMMANDS

_SAMPLES = Path(__file__).parents[1] / "events" / "samples"
_HUGE = st.sampled_from([2**63, 2**64, 10**400, -(10**400), 1e308, -1e308])

any_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | _HUGE | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def encoded(value: Any) -> bytes:
    """As JSON; halves of surrogate pairs are escaped, as a careless sender does it."""
    return json.dumps(value).encode()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    match value:
        case dict():
            inner = list(value.items())
        case list():
            inner = list(enumerate(value))
        case _:
            inner = []
    return [path, *(found for key, item in inner for found in _paths(item, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, samples: st.SearchStrategy[Any]) -> Any:
    """One of the samples, in which up to three values are others, or gone."""
    value = json.loads(json.dumps(draw(samples)))
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(_paths(value))) or (None,)
        if last is None:
            return draw(any_json)
        holder = value
        for key in parents:
            holder = holder[key]
        if isinstance(holder, dict) and draw(st.booleans()):
            del holder[last]
        else:
            holder[last] = draw(any_json)
    return value


def _sampled(commands: bool) -> st.SearchStrategy[Any]:
    paths = sorted(path for path in _SAMPLES.glob("*.json") if (path.stem in COMMANDS) == commands)
    return st.sampled_from([json.loads(path.read_text()) for path in paths])


@st.composite
def broken_bytes(draw: st.DrawFn, values: st.SearchStrategy[bytes]) -> bytes:
    """Bytes of which some are cut off, doubled or others."""
    value = draw(values)
    at = draw(st.integers(0, len(value)))
    return value[:at] + draw(st.binary(max_size=6)) + value[draw(st.integers(0, len(value))) :]


def records(commands: bool) -> st.SearchStrategy[bytes]:
    """Values of records: nearly commands, or nearly events."""
    whole = changed(_sampled(commands)).map(encoded)
    return whole | broken_bytes(whole) | st.binary(max_size=60) | any_json.map(encoded)
