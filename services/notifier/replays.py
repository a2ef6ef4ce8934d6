"""Owns carrying out what users ask of dead webhooks: each command once, whatever is killed when."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing
from sqlalchemy.ext.asyncio import AsyncEngine

from events.codec import decode_command
from events.envelope import Command
from events.errors import DecodeError
from events.topics import COMMAND_IDS_KEPT
from events.webhooks import WEBHOOK_COMMAND_TYPES, ReplayWebhooks
from projections.store.engine import writing
from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import revive
from services.notifier.own_store import changes, replays
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point

_POLL_MS = 200
_MOST_RECORDS = 100

_log = logging.getLogger(__name__)


class Replays:
    """The half of the store that commands change."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def carry_out(self, partition: int, command: Command, now: float) -> bool:
        """Let the dead be sent again, and remember what came of it longer than commands are kept; False where the id was handled before."""
        if not isinstance(command.data, ReplayWebhooks):
            raise TypeError(f"{command.data.type_name} is no command of webhooks")
        handled = {"id": command.id, "partition": partition, "org_id": command.org_id, "request_hash": command.request_hash}
        async with writing(self._database) as connection:
            old = replays.c.handled_at <= now - COMMAND_IDS_KEPT.total_seconds()
            forgotten = select(replays.c.partition, replays.c.id).where(old)
            await connection.execute(insert(changes).from_select(["partition", "key"], forgotten))
            await connection.execute(delete(replays).where(old))
            fresh = insert_or_nothing(replays).values(**handled, replayed=0, handled_at=now).on_conflict_do_nothing()
            if (await connection.execute(fresh)).rowcount == 0:
                return False
            count = await revive(connection, now, command.data.ids, command.org_id)
            await connection.execute(replays.update().where(replays.c.id == command.id).values(replayed=count))
            # after those of the webhooks: who sees what came of the command sees its effect
            await connection.execute(insert(changes).values(partition=partition, key=command.id))
        return True


@dataclass(slots=True)
class CommandReader:
    """Reads the commands as one of a group. A place is committed after what lies before it was carried out: some may be read again."""

    consumer: AIOKafkaConsumer
    replays: Replays
    clock: Clock
    on_replayed: Callable[[int], None]
    """Called with the partition in which webhooks may be due, and whose changes wait to be told."""
    metrics: NotifierMetrics

    async def run(self) -> None:
        """Until cancelled; raises what the store raises, and what Kafka says of a place that is lost."""
        while True:
            batches = await self.consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
            for tp, records in batches.items():
                for record in records:
                    await self._take(record)
                fail_point("notifier.after-replay")
                await self._commit({tp: records[-1].offset + 1})

    async def _take(self, record: ConsumerRecord) -> None:
        where = {"action": "replay", "partition": record.partition, "offset": record.offset}
        try:
            command = decode_command(record.value, WEBHOOK_COMMAND_TYPES)
        except DecodeError:
            self.metrics.unreadable.inc()
            _log.exception("a command can not be read and is passed over", extra=where)
            return
        fail_point("notifier.before-replay")
        if await self.replays.carry_out(record.partition, command, self.clock.now().timestamp()):
            _log.info("dead webhooks are sent again", extra=where | {"command": command.id})
            self.on_replayed(record.partition)

    async def _commit(self, places: dict[object, int]) -> None:
        try:
            await self.consumer.commit(places)
        except KafkaError as error:
            _log.warning("a place is not committed yet", extra={"action": "commit", "error": type(error).__name__})
