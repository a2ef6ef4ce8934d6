"""Owns what is told to `webhook-state`: which webhooks are dead and what came of commands, by the changes that the store notes."""

from collections.abc import Iterable
from datetime import UTC, datetime

import orjson
from sqlalchemy import RowMapping, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events.webhooks import DeadWebhook, WebhookReplay
from projections.store.engine import reading, writing
from services.notifier.own_store import changes, outbox, replays, told_partitions
from services.runtime.fail_points import fail_point
from services.runtime.publishing import Unsent

_MOST_CHANGES = 500
"""In one transaction; what changed many times meanwhile is sent once."""


class StateChanges:
    """`Changes` of webhooks and replays, in the order in which they came; several processes may share the store."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def unsent(self, partition: int, most: int | None = None) -> Unsent[list[int]] | None:
        some = select(changes.c.number, changes.c.key).where(changes.c.partition == partition).order_by(changes.c.number)
        async with reading(self._database) as connection:
            noted = (await connection.execute(some.limit(min(most or _MOST_CHANGES, _MOST_CHANGES)))).all()
            if not noted:
                return None
            keys = list(dict.fromkeys(key for _, key in noted))
            dead = (await connection.execute(select(outbox).where(outbox.c.id.in_(keys), outbox.c.dead.is_(True)))).mappings()
            handled = (await connection.execute(select(replays).where(replays.c.id.in_(keys)))).mappings()
            states = {row["id"]: _dead_webhook(row) for row in dead} | {row["id"]: _replay(row) for row in handled}
        fail_point("notifier.before-publish")
        return Unsent([(key.encode(), states.get(key)) for key in keys], [number for number, _ in noted])

    async def sent(self, unsent: Unsent[list[int]]) -> None:
        fail_point("notifier.after-publish")
        await self.forget(unsent)

    async def forget(self, unsent: Unsent[list[int]]) -> None:
        async with writing(self._database) as connection:
            await connection.execute(delete(changes).where(changes.c.number.in_(unsent.entries)))

    async def is_told(self, partition: int) -> bool:
        """Whether the topic tells of the partition's dead, but for the changes."""
        async with reading(self._database) as connection:
            found = select(told_partitions.c.partition).where(told_partitions.c.partition == partition)
            return (await connection.execute(found)).first() is not None

    async def forget_told(self, partition: int) -> None:
        """Nothing is known any more of what the topic tells of the partition's dead."""
        async with writing(self._database) as connection:
            await connection.execute(delete(told_partitions).where(told_partitions.c.partition == partition))

    async def note(self, partition: int, keys: Iterable[str]) -> None:
        """Let the state of these keys be told; none, where the store knows nothing of a key."""
        async with writing(self._database) as connection:
            await connection.execute(insert(changes), [{"partition": partition, "key": key} for key in keys])

    async def note_all(self, partition: int) -> None:
        """Let all the partition's dead be told, and remember that; does nothing where that was done."""
        dead = select(outbox.c.partition, outbox.c.id).where(outbox.c.partition == partition, outbox.c.dead.is_(True))
        async with writing(self._database) as connection:
            known = select(told_partitions.c.partition).where(told_partitions.c.partition == partition)
            if (await connection.execute(known)).first() is None:
                await connection.execute(insert(told_partitions).values(partition=partition))
                await connection.execute(insert(changes).from_select(["partition", "key"], dead))


def _dead_webhook(row: RowMapping) -> bytes:
    webhook = DeadWebhook(
        id=row["id"],
        org_id=row["org_id"],
        campaign_id=row["campaign_id"],
        sequence=row["sequence"],
        event_type=row["name"],
        message=orjson.loads(row["body"])["message"],
        attempts=row["failures"],
        last_error=row["last_error"] or "",
        queued_at=_instant(row["enqueued_at"]),
        dead_at=_instant(row["next_at"]),
    )
    return orjson.dumps(webhook.to_wire())


def _replay(row: RowMapping) -> bytes:
    replay = WebhookReplay(id=row["id"], org_id=row["org_id"], request_hash=row["request_hash"], replayed=row["replayed"])
    return orjson.dumps(replay.to_wire())


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
