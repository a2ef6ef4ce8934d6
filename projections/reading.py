"""Owns the hot reading of the log: bytes to records at the speed of the JSON parser.

On what the engine writes it is equal to `events.codec.read_event`.

What `read_event` checks of each record the folds find out when they need it; the pydantic models stay the definition.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import orjson

from events.envelope import EventRecord
from events.errors import UndecodableError
from events.upcasting import UPCASTERS, Upcaster, upcast


def read_events(values: Sequence[bytes | None], upcasters: Mapping[str, Upcaster] = UPCASTERS) -> list[EventRecord]:
    """The events of a batch, upcast; raises `UndecodableError` where one is not JSON."""
    try:
        records = cast(list[EventRecord], [orjson.loads(value) for value in values])  # type: ignore[arg-type]
    except orjson.JSONDecodeError as error:
        raise UndecodableError([f"not JSON: {error}"]) from error
    if upcasters:
        for record in records:
            record["type"], record["data"] = upcast(record["type"], record["data"], upcasters)
    return records
