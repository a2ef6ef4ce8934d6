"""What waits for its turn: one batch a partition, which grows, is bounded, and is void after a seek."""

import pytest
from aiokafka.structs import TopicPartition

from services.projector import waiting
from services.projector.batch import Batch
from services.projector.waiting import WaitingBatches


def _batch(partition: int, start: int, values: list[bytes | None], epoch: int = 1, markers: int = 0) -> Batch:
    last_offset = start + len(values) - 1
    return Batch(TopicPartition("campaign-events", partition), epoch, start, last_offset + 1 + markers, last_offset, values)


def test_what_is_read_of_a_partition_that_waits_is_one_batch_with_it() -> None:
    waits = WaitingBatches()
    waits.add([_batch(0, 10, [b"a", b"b"], markers=1)])
    waits.add([_batch(0, 13, [b"c"], markers=1)])
    assert waits.take() == Batch(TopicPartition("campaign-events", 0), 1, 10, 15, 13, [b"a", b"b", b"c"])
    assert not waits


def test_the_partition_that_waits_longest_is_next_however_much_is_read_of_others() -> None:
    waits = WaitingBatches()
    waits.add([_batch(0, 0, [b"a"]), _batch(1, 0, [b"b"])])
    waits.add([_batch(2, 0, [b"c"]), _batch(0, 1, [b"d"])])
    assert [waits.take().partition.partition for _ in range(2)] == [0, 1]
    waits.add([_batch(0, 2, [b"e"])])
    assert [waits.take().partition.partition for _ in range(2)] == [2, 0]


def test_what_was_read_before_a_seek_is_void() -> None:
    waits = WaitingBatches()
    waits.add([_batch(0, 10, [b"a", b"b"])])
    waits.add([_batch(0, 5, [b"x"], epoch=2)])
    waits.add([_batch(0, 6, [b"y"], epoch=2)])
    batch = waits.take()
    assert (batch.epoch, batch.start, batch.next_offset, batch.values) == (2, 5, 7, [b"x", b"y"])


def test_what_waits_is_bounded_in_records_and_bytes_and_room_is_made_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_RECORDS", 10)
    monkeypatch.setattr(waiting, "MAX_BYTES", 100)
    waits = WaitingBatches()
    assert waits.room() == (10, 100)
    waits.add([_batch(0, 0, [b"12345", None])])
    assert waits.room() == (8, 95)
    waits.add([_batch(1, 0, [b""] * 4)])
    assert waits.room() == (0, 0)
    waits.take()
    assert waits.room() == (6, 100)
    waits.add([_batch(0, 2, [b"x" * 51])])
    assert waits.room() == (0, 0)
    waits.clear()
    assert waits.room() == (10, 100)
    assert not waits
