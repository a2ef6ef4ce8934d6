"""How the API follows the log, where a fetch holds less than the log does."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from events import facts
from events.codec import encode_event
from events.envelope import Event
from services.api.event_log import KafkaEventLog
from services.api.expectations import Expectations, Outcome
from services.api.plans import Asked, Plan
from services.runtime.clock import SystemClock

AT = datetime(2030, 1, 1, tzinfo=UTC)
EDIT = Plan(Asked("org-1", "c", "0" * 64), "id-1", ("c",), (), "c", None)
ONE, OTHER = TopicPartition("events", 0), TopicPartition("events", 1)


def _event(offset: int, command_id: str) -> Any:
    fact = facts.CampaignUpdated(name="x")
    return SimpleNamespace(offset=offset, value=encode_event(Event("org-1", AT, fact, "id-1", None, command_id), str(offset)))


class _Consumer:
    """Gives what it is given to give, one after the other; of both partitions the log holds four events and their marker."""

    def __init__(self, *fetched: dict[TopicPartition, list[Any]]) -> None:
        self._fetched = list(fetched)
        self._positions = {ONE: 0, OTHER: 0}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        if not self._fetched:
            await asyncio.Event().wait()
        fetched = self._fetched.pop(0)
        self._positions |= {partition: records[-1].offset + 1 for partition, records in fetched.items()}
        return fetched

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    def last_stable_offset(self, partition: TopicPartition) -> int:
        return 5


def _outcome(*fetched: dict[TopicPartition, list[Any]]) -> Outcome | None:
    async def run() -> Outcome | None:
        expectations = Expectations()
        log = KafkaEventLog(lambda: _Consumer(*fetched), "events", 2, expectations, SystemClock())
        with expectations.expecting(EDIT) as expectation:
            following = asyncio.create_task(log.follow())
            for _ in range(20):
                await asyncio.sleep(0)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            return expectation.outcome.result() if expectation.outcome.done() else None

    return asyncio.run(run())


def test_news_of_another_partition_do_not_end_what_was_read_in_part() -> None:
    begun, others = {ONE: [_event(0, "c"), _event(1, "c")]}, {OTHER: [_event(0, "other")]}
    assert _outcome(begun, others) is None
    assert _outcome(begun, others, {ONE: [_event(2, "c"), _event(3, "c")]}) == Outcome(0, 0, 4)
