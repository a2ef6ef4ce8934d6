"""Owns how what aiokafka fetched is taken: whole record batches at a time, within bounds in records and in bytes.

aiokafka knows of neither: it makes an object of each record, which takes longer than all else that it does with it, and bounds
what it gives by the number of records alone. Which batches count (aborted transactions, markers) is its own business as before.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer

from services.runtime.fetched import prepare_fetched

MAX_RECORDS = 50_000
"""In one batch, and so in one database transaction: the longer it is when there is a backlog, the fewer rows are written twice."""
MAX_BYTES = 24 * 1024 * 1024
"""Of the values of a batch, as they are decompressed."""


class Run(NamedTuple):
    """The values of one record batch; `offset` is that of its last record, where aiokafka looks for a record's."""

    offset: int
    values: list[bytes | None]


class Allowance:
    """What may still be taken in one turn; all partitions share it."""

    def __init__(self) -> None:
        self.renew(MAX_RECORDS, MAX_BYTES)

    def renew(self, records: int, size: int) -> None:
        """So many records, and bytes of values."""
        self._records, self._bytes = records, size

    @property
    def is_spent(self) -> bool:
        return self._records <= 0 or self._bytes <= 0

    def spend(self, run: Run) -> None:
        self._records -= len(run.values)
        self._bytes -= sum([len(value) for value in run.values if value is not None])


def take_whole_runs(consumer: AIOKafkaConsumer, allowance: Allowance) -> None:
    """From now on the consumer, which was started, gives `Run`s, each turn as many as the allowance lets it."""
    prepare_fetched(consumer, partial(_prepare, allowance))


def _prepare(allowance: Allowance, fetched: Any) -> None:
    records = fetched._partition_records
    records._records = _WholeBatches(records)
    records._consumer_record = _as_it_is
    fetched.getall = partial(_take, fetched, allowance)


def _take(fetched: Any, allowance: Allowance, max_records: int | None = None) -> list[Run]:
    """As aiokafka's `getall`, within the allowance; nothing where the partition is not read from here any more."""
    runs: list[Run] = []
    if not fetched.check_assignment(fetched._topic_partition) or not fetched.has_more():
        return runs
    while not allowance.is_spent:
        run = next(fetched._partition_records, None)
        if run is None:
            fetched._update_position()
            # they refer to each other, and nobody looks for such circles often enough for what they hold
            fetched._partition_records._records = fetched._partition_records = None
            return runs
        runs.append(run)
        allowance.spend(run)
    fetched._update_position()
    return runs


class _WholeBatches:
    """The fetched record batches, each of which yields itself as one `Run`."""

    def __init__(self, partition_records: Any) -> None:
        self._partition_records = partition_records
        self._batches = partition_records._records

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        return _WholeBatch(self._batches.next_batch(), self._partition_records)


class _WholeBatch:
    """aiokafka asks it what it asks a record batch."""

    def __init__(self, batch: Any, partition_records: Any) -> None:
        self._batch = batch
        self._partition_records = partition_records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Run]:
        batch, first = self._batch, self._partition_records.next_fetch_offset
        if batch.base_offset >= first:
            values = [record.value for record in batch]
        else:
            values = [record.value for record in batch if record.offset >= first]
        if values:
            yield Run(batch.next_offset - 1, values)


def _as_it_is(partition: Any, run: Run) -> Run:
    return run
