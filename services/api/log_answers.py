"""Owns the answer where the read model is away: the one campaign folded from the log itself (contract, "Repeats by the SDKs")."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from events.codec import read_event
from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CampaignRow
from projections.queries.views import CallView, Rejection

_RECORDS = 2_000


@dataclass(frozen=True, slots=True)
class FoldedCampaign:
    """A campaign and all its calls, in the order of positions, as they stood at one offset of the log."""

    row: CampaignRow
    calls: Sequence[CallView]


class LogAnswers:
    """Folds one campaign from a partition of the log; the whole campaign is in memory, so only a few at a time."""

    def __init__(self, new_consumer: Callable[[], AIOKafkaConsumer], topic: str, at_once: int = 2) -> None:
        self._new_consumer = new_consumer
        self._topic = topic
        self._room = asyncio.Semaphore(at_once)

    async def campaign(self, partition: int, campaign_id: str, first_offset: int, next_offset: int) -> FoldedCampaign | None:
        """The campaign as of `next_offset`; its first event is at `first_offset` or later. Raises the client's own errors."""
        progress = Progress(partition, {}, {})
        name = campaign_id.encode()
        async with self._room:
            async for record in self._records(partition, first_offset, next_offset):
                if name in record.value:
                    event = read_event(record.value)
                    if event.get("subject") == campaign_id:
                        progress.fold(event)
        progress.settle()
        row = progress.campaigns.get(campaign_id)
        return None if row is None else FoldedCampaign(row, _views(progress))

    async def rejection(self, partition: int, org_id: str, command_id: str, next_offset: int) -> Rejection | None:
        """What the command was told when it was rejected first, looked for from the log's beginning."""
        name = command_id.encode()
        async with self._room:
            async for record in self._records(partition, 0, next_offset):
                if name in record.value:
                    event = read_event(record.value)
                    if (event["orgid"], event.get("causationid"), event["type"]) == (org_id, command_id, "CommandRejected.v1"):
                        return Rejection(event["data"]["reason"], event["data"]["messages"])
        return None

    async def _records(self, partition: int, first_offset: int, next_offset: int) -> AsyncIterator["ConsumerRecord[bytes, bytes]"]:
        tp = TopicPartition(self._topic, partition)
        consumer = self._new_consumer()
        await consumer.start()
        try:
            consumer.assign([tp])
            consumer.seek(tp, first_offset)
            while await consumer.position(tp) < next_offset:
                for record in (await consumer.getmany(tp, timeout_ms=1_000, max_records=_RECORDS)).get(tp, ()):
                    if record.offset >= next_offset:
                        return
                    yield record
        finally:
            await consumer.stop()


def _views(progress: Progress) -> list[CallView]:
    views = []
    for call_id, contact in progress.contacts.items():
        call = progress.calls[call_id]
        values = {name: getattr(contact, name) if name in contact._fields else getattr(call, name) for name in CallView._fields}
        views.append(CallView(**values))
    return sorted(views, key=lambda view: view.position)
