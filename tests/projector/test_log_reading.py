"""Taking what was fetched: the values that aiokafka would give one by one, in turns that are bounded in records and in bytes."""

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from services.projector import log_reading
from services.projector.log_reading import Allowance, take_whole_runs

_LOG = TopicPartition("campaign-events", 0)
_LZ4 = 3
_values = st.binary(max_size=20) | st.none()


class _Position(SimpleNamespace):
    def consumed_to(self, offset: int) -> None:
        self.position = offset


def _record_batch(base_offset: int, values: list[bytes | None]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=_LZ4, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=1_000_000
    )
    for number, value in enumerate(values):
        builder.append(number, timestamp=1, key=None, value=value, headers=[])
    written = builder.build()
    written[:8] = base_offset.to_bytes(8)
    return bytes(written)


def _fetched(batches: list[list[bytes | None]], from_offset: int) -> tuple[Any, _Position]:
    written, offset = b"", 0
    for values in batches:
        written += _record_batch(offset, values)
        offset += len(values)
    position = _Position(position=from_offset, paused=False)
    assignment = SimpleNamespace(active=True, state_value={_LOG: position}.__getitem__)
    records = PartitionRecords(_LOG, MemoryRecords(written), [], from_offset, None, None, True, READ_COMMITTED)
    return FetchResult(_LOG, assignment=assignment, partition_records=records, backoff=0), position


def _consumer(fetched: Any) -> tuple[Any, Allowance]:
    consumer, allowance = SimpleNamespace(_fetcher=SimpleNamespace(_records=OrderedDict({_LOG: fetched}))), Allowance()
    take_whole_runs(consumer, allowance)
    return consumer, allowance


@given(st.lists(st.lists(_values, min_size=1, max_size=5), min_size=1, max_size=4), st.data())
def test_what_is_taken_is_what_the_client_gives_record_by_record(batches: list[list[bytes | None]], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, sum(map(len, batches)) - 1))
    one_by_one, position_then = _fetched(batches, start)
    records = one_by_one.getall()
    whole, position = _fetched(batches, start)
    consumer, _ = _consumer(whole)
    runs = consumer._fetcher._records[_LOG].getall(50_000)
    assert [value for run in runs for value in run.values] == [record.value for record in records]
    assert runs[-1].offset == records[-1].offset
    assert position.position == position_then.position
    assert not whole.has_more()


def test_a_turn_ends_with_the_batch_that_spends_its_bytes_and_the_next_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reading, "MAX_BYTES", 15)
    fetched, position = _fetched([[b"0123456789"], [b"0123456789"], [b"rest"]], 0)
    _, allowance = _consumer(fetched)
    assert [run.offset for run in fetched.getall(50_000)] == [0, 1]
    assert position.position == 2
    assert fetched.getall(50_000) == []
    allowance.renew(10, 15)
    assert [run.values for run in fetched.getall(50_000)] == [[b"rest"]]
    assert not fetched.has_more()


def test_what_is_fetched_later_is_taken_so_too() -> None:
    consumer, _ = _consumer(_fetched([[b"first"]], 0)[0])
    later, _ = _fetched([[b"a", b"b"]], 0)
    consumer._fetcher._records[_LOG] = later
    assert [run.values for run in later.getall(50_000)] == [[b"a", b"b"]]


def test_nothing_is_taken_from_where_the_partition_is_not_read_any_more() -> None:
    fetched, position = _fetched([[b"first"]], 0)
    _consumer(fetched)
    position.position = 7
    assert fetched.getall(50_000) == []
    assert not fetched.has_more()
