"""Owns what the agent is given: a run of one partition's records as one Faust message."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import faust
from aiokafka.structs import TopicPartition


class Batch(NamedTuple):
    """The value of every committed record of the partition from `start` up to, not including, `next_offset`.

    `last_offset` is that of the last one, which control records may follow.
    `epoch` names the seek that the reading began with; a batch of an earlier one than the partition's newest is void.
    """

    partition: TopicPartition
    epoch: int
    start: int
    next_offset: int
    last_offset: int
    values: Sequence[bytes | None]


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """The message's value is a `Batch` already; there is nothing to decode."""

    def loads_key(self, app: Any, message: Any, **options: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **options: Any) -> Any:
        return message.value
