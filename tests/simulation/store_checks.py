"""Owns what must hold of the read model after every write: I4, I5, I6 and I7, against a fold of the log of its own."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from aiokafka import TopicPartition

from events.calls import RANK
from events.topics import CAMPAIGN_EVENTS
from projections.campaign_progress.fold import touched
from projections.campaign_progress.rows import CampaignRow
from projections.campaign_progress.tally import clear, move, tally
from projections.errors import FoldError
from projections.reading import LogEvent, read_events
from projections.store.memory_store import MemoryProjectionStore
from projections.store.port import Applied, Fenced
from tests.simulation.broker import Record

T = TypeVar("T")


def done(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stopped:
        result: T = stopped.value
        return result
    raise RuntimeError("the work waits for something")


class WatchedStore(MemoryProjectionStore):
    """A store that tells of each write right after it: partition and next offset."""

    written: Callable[[int, int], None]

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
        outcome = await super().apply(partition, start_offset, next_offset, records)
        if isinstance(outcome, Applied):
            self.written(partition, next_offset)
        return outcome


class StoreChecks:
    """Folds the log event by event up to where the store stands, and compares the rows that these events touch, and no others."""

    def __init__(
        self, store: MemoryProjectionStore, records_of: Callable[[TopicPartition], Sequence[Record | None]], report: Callable[[str], None]
    ) -> None:
        self.reference = MemoryProjectionStore()
        self._store = store
        self._records_of = records_of
        self._report = report
        self._next: dict[int, int] = {}
        self._versions: dict[str, int] = {}
        self._ranks: dict[str, int] = {}

    def written(self, partition: int, next_offset: int) -> None:
        begin = self._next.get(partition, 0)
        if next_offset < begin:
            self._report(f"I5: the place of partition {partition} went back from {begin} to {next_offset}")
            return
        self._next[partition] = next_offset
        records = self._records_of(TopicPartition(CAMPAIGN_EVENTS.name, partition))[begin:next_offset]
        events = read_events([record.value for record in records if record is not None and record.is_committed])
        try:
            for number, event in enumerate(events):
                end = next_offset if number == len(events) - 1 else begin + number + 1
                done(self.reference.apply(partition, begin + number, end, [event]))
        except FoldError as error:
            self._report(f"I5: the log contradicts itself: {error}")
            return
        if not events:
            done(self.reference.apply(partition, begin, next_offset, []))
        self._compare(*touched(events))

    def _compare(self, campaign_ids: Sequence[str], call_ids: Sequence[str]) -> None:
        store, reference = self._store, self.reference
        for campaign_id in campaign_ids:
            row, wanted = store.campaigns.get(campaign_id), reference.campaigns.get(campaign_id)
            if row != wanted:
                self._report(f"I5: the campaign {campaign_id} is not as the log says: {_difference(row, wanted)}")
            if row is not None:
                self._check_campaign(row)
        for call_id in call_ids:
            call = store.calls.get(call_id)
            if call != reference.calls.get(call_id):
                self._report(f"I5: the call {call_id} is not as the log says: {_difference(call, reference.calls.get(call_id))}")
            if call is not None:
                if RANK[call.status] < self._ranks.get(call_id, 0):
                    self._report(f"I6: the call {call_id} went back to {call.status}")
                self._ranks[call_id] = RANK[call.status]

    def _check_campaign(self, row: CampaignRow) -> None:
        if row.version < self._versions.get(row.id, 0):
            self._report(f"I6: the version of the campaign {row.id} went back")
        self._versions[row.id] = row.version
        counted = replace(row)
        clear(counted)
        for call in self._store.calls.values():
            if call.campaign_id == row.id:
                move(counted, None, tally(call))
        if counted != row:
            self._report(f"I4: the counters of the campaign {row.id} are not its calls': {_difference(row, counted)}")
        if row.calls_scheduled + row.calls_queued + row.calls_in_progress + row.calls_ended != row.total - row.first_position:
            self._report(f"I4: the calls of the campaign {row.id} do not add up to their number")

    def compare_all(self) -> None:
        """Byte for byte, at the end."""
        if b"".join(self._store.dump()) != b"".join(self.reference.dump()):
            self._report("I5: the read model is not, byte for byte, what the log folds into")


def _difference(one: Any, other: Any) -> str:
    if one is None or other is None:
        return "it is missing" if one is None else "it should not be there"
    names = [name for name in one.__dataclass_fields__ if getattr(one, name) != getattr(other, name)]
    return ", ".join(f"{name} {getattr(one, name)!r} for {getattr(other, name)!r}" for name in names)
