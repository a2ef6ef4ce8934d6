"""Owns the event log that all contestants fold: made from a seed, kept in a file, read back as records, and its prefixes."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from struct import Struct
from typing import BinaryIO, NamedTuple

from services.runtime.kafka import partition_of
from tests.bench.event_templates import event_templates
from tests.bench.plans import CampaignPlan, equal_plans, zipf_plans
from tests.bench.simulation import Simulation

PARTITIONS = 6
DUPLICATES = 0.02
OUT_OF_ORDER = 0.01
_LATE = 0.032
"""Of the callbacks that can come late, so that of all records `OUT_OF_ORDER` do."""
_DUPLICATE_WITHIN = 50
"""A record comes again behind at most so many others of its partition."""
_MADE_BY = 1
"""Goes up when the same seed makes another log."""
_HEAD = Struct("<BBI")


class LogRecord(NamedTuple):
    partition: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Workload:
    """A log on disk, its records in the order in which they were appended over all partitions."""

    path: Path
    events: int

    @property
    def mean_bytes(self) -> float:
        """Of a value."""
        heads = self.events * _HEAD.size
        return (self.path.stat().st_size - heads - sum(len(record.key) for record in self.records())) / self.events

    def records(self, limit: int | None = None) -> Iterator[LogRecord]:
        """The first `limit` records, or all."""
        left = self.events if limit is None else min(limit, self.events)
        unpack, size = _HEAD.unpack_from, _HEAD.size
        with self.path.open("rb") as file:
            block, at = b"", 0
            while left:
                more = file.read(1 << 22)
                block, at = block[at:] + more, 0
                while left and len(block) - at >= size:
                    partition, key_bytes, value_bytes = unpack(block, at)
                    key_at = at + size
                    value_at = key_at + key_bytes
                    if value_at + value_bytes > len(block):
                        break
                    at = value_at + value_bytes
                    left -= 1
                    yield LogRecord(partition, block[key_at:value_at], block[value_at:at])
                if not more and left:
                    raise EOFError(f"{self.path} is cut off")


def zipf_workload(directory: Path, seed: int, events: int) -> Workload:
    """Campaigns of all sizes; made once for a seed."""
    return _cached(directory, f"zipf-{seed}", events, lambda draws: zipf_plans(events, draws), seed)


def equal_workload(directory: Path, seed: int, calls: int, campaign_calls: int, events: int) -> Workload:
    """As many calls in campaigns of one size, in one org; all are scheduled before the first is dialed."""
    return _cached(directory, f"equal-{seed}-{calls}-{campaign_calls}", events, lambda _: equal_plans(calls, campaign_calls), seed)


def _cached(directory: Path, name: str, events: int, plans: Callable[[Random], list[CampaignPlan]], seed: int) -> Workload:
    shapes = hashlib.sha256(repr((_MADE_BY, sorted(event_templates().items()))).encode()).hexdigest()[:12]
    path = directory / f"{name}-{events}-{shapes}.log"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draws = Random(seed)
        with draft.open("wb") as file:
            writing = _Writing(file, draws, events)
            Simulation(plans(draws), draws, _LATE, writing.emit).run(writing.is_full)
            if not writing.is_full():
                raise ValueError(f"the plans yield only {writing.written} of {events} events")
        draft.rename(path)
    return Workload(path, events)


class _Writing:
    """Puts each record onto its partition, some of them twice, until there are as many as wanted."""

    def __init__(self, file: BinaryIO, draws: Random, events: int) -> None:
        self._file = file
        self._draws = draws
        self._events = events
        self._partitions: dict[bytes, int] = {}
        self._again: list[deque[tuple[int, bytes, bytes]]] = [deque() for _ in range(PARTITIONS)]
        self._counts = [0] * PARTITIONS
        self.written = 0

    def is_full(self) -> bool:
        return self.written >= self._events

    def emit(self, key: bytes, value: bytes) -> None:
        partition = self._partitions.get(key)
        if partition is None:
            partition = self._partitions[key] = partition_of(key.decode(), PARTITIONS)
        self._write(partition, key, value)
        again = self._again[partition]
        while again and again[0][0] <= self._counts[partition]:
            _, old_key, old_value = again.popleft()
            self._write(partition, old_key, old_value)
        if self._draws.random() < DUPLICATES:
            due = self._counts[partition] + int(self._draws.random() * _DUPLICATE_WITHIN)
            again.append((max(due, again[-1][0] if again else 0), key, value))

    def _write(self, partition: int, key: bytes, value: bytes) -> None:
        if self.written < self._events:
            self._file.write(_HEAD.pack(partition, len(key), len(value)) + key + value)
            self._counts[partition] += 1
            self.written += 1
