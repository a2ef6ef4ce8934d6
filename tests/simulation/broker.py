"""Owns the simulated log: partitions, transactions with their fences, and the groups' offsets. Waits for nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import InvalidTxnState, ProducerFenced

Headers = Sequence[tuple[str, bytes]]


@dataclass(slots=True, eq=False)
class Transaction:
    """Of one producer epoch; `offsets` are the group's, put in place when it is committed."""

    id: str
    epoch: int
    state: str = "open"
    touched: dict[TopicPartition, int] = field(default_factory=dict)
    offsets: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """As aiokafka hands it out, and the transaction that it belongs to."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    transaction: Transaction | None = None

    @property
    def is_committed(self) -> bool:
        return self.transaction is None or self.transaction.state == "committed"


@dataclass(slots=True)
class Partition:
    """A record's offset is its index; `None` stands for the marker that ends a transaction."""

    records: list[Record | None] = field(default_factory=list)
    open: dict[Transaction, int] = field(default_factory=dict)

    def stable_end(self) -> int:
        """Up to where a reader of committed records gets."""
        return min(self.open.values()) if self.open else len(self.records)

    def read(self, start: int, end: int, most: int, *, committed: bool = True) -> tuple[list[Record], int]:
        """The visible records of the span, `most` of them, and the offset after the last that was looked at."""
        found: list[Record] = []
        for offset in range(start, end):
            record = self.records[offset]
            if record is not None and (record.is_committed or not committed):
                found.append(record)
                if len(found) == most:
                    return found, offset + 1
        return found, max(start, end)


def _nobody_cares(*what: object) -> None:
    """Until somebody does."""


class Broker:
    """`on_change` is told of partitions whose stable end may have moved, `on_commit` of transactions, then `on_place` of places."""

    def __init__(self) -> None:
        self.partitions: dict[TopicPartition, Partition] = {}
        self.offsets: dict[tuple[str, TopicPartition], int] = {}
        self.on_change: Callable[[TopicPartition], None] = _nobody_cares
        self.on_commit: Callable[[Transaction, Mapping[TopicPartition, Sequence[Record]]], None] = _nobody_cares
        self.on_place: Callable[[str, TopicPartition, int, Sequence[bytes | None]], None] = _nobody_cares
        self._epochs: dict[str, int] = {}
        self._current: dict[str, Transaction] = {}

    def partition(self, tp: TopicPartition) -> Partition:
        found = self.partitions.get(tp)
        if found is None:
            found = self.partitions[tp] = Partition()
        return found

    def init_producer(self, transactional_id: str) -> int:
        """A new epoch: shuts former ones out and aborts what they left open."""
        epoch = self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        left_open = self._current.pop(transactional_id, None)
        if left_open is not None:
            self._end(left_open, "aborted")
        return epoch

    def begin(self, transactional_id: str, epoch: int) -> Transaction:
        """Known to the broker from the first thing that is written in it."""
        return Transaction(transactional_id, epoch)

    def _check(self, transaction: Transaction) -> None:
        if self._epochs[transaction.id] != transaction.epoch:
            raise ProducerFenced
        if transaction.state != "open":
            raise InvalidTxnState
        self._current[transaction.id] = transaction

    def append(self, tp: TopicPartition, key: bytes | None, value: bytes | None, headers: Headers, transaction: Transaction | None) -> None:
        if transaction is not None:
            self._check(transaction)
        partition = self.partition(tp)
        offset = len(partition.records)
        if transaction is not None and tp not in transaction.touched:
            transaction.touched[tp] = partition.open[transaction] = offset
        partition.records.append(Record(tp.topic, tp.partition, offset, key, value, headers, transaction))
        self.on_change(tp)

    def add_offsets(self, transaction: Transaction, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._check(transaction)
        transaction.offsets.setdefault(group, {}).update(offsets)

    def commit(self, transaction: Transaction) -> None:
        self._check(transaction)
        del self._current[transaction.id]
        self._end(transaction, "committed")

    def keep(self, group: str, tp: TopicPartition, offset: int, written: Sequence[bytes | None] = ()) -> None:
        """The group's place moves; `written` is what the same transaction wrote."""
        self.offsets[group, tp] = offset
        self.on_place(group, tp, offset, written)

    def is_open(self, transaction: Transaction) -> bool:
        return self._current.get(transaction.id) is transaction

    def time_out(self, transaction: Transaction) -> None:
        """As the broker does by itself: the producer is fenced too."""
        if self.is_open(transaction):
            self.init_producer(transaction.id)

    def _end(self, transaction: Transaction, state: str) -> None:
        transaction.state = state
        written = {}
        for tp, first in transaction.touched.items():
            partition = self.partitions[tp]
            del partition.open[transaction]
            if state == "committed":
                written[tp] = [r for r in partition.records[first:] if r is not None and r.transaction is transaction]
            partition.records.append(None)
        if state == "committed":
            self.on_commit(transaction, written)
            for group, offsets in transaction.offsets.items():
                for tp, offset in offsets.items():
                    self.keep(group, tp, offset, [record.value for records in written.values() for record in records])
        for tp in transaction.touched:
            self.on_change(tp)
