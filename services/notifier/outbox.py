"""Owns the outbox as the deliverer and a person see it: what is due for whom, what became of it, what is dead."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import RowMapping, bindparam, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from projections.store.engine import reading, writing
from services.notifier.own_store import campaigns, changes, outbox

MOST_LANES = 10_000
"""Receivers that are looked at at once. Each message that is sent, or fails, lets others come up to them."""
_CHANGED_AT_ONCE = 1_000

_LANES = text(
    """
    WITH RECURSIVE lanes(receiver) AS (
        SELECT min(receiver) FROM notifier_outbox WHERE partition = :partition AND dead = FALSE
        UNION ALL
        SELECT (SELECT min(receiver) FROM notifier_outbox WHERE partition = :partition AND dead = FALSE AND receiver > lanes.receiver)
        FROM lanes WHERE lanes.receiver IS NOT NULL
    ), waiting AS (
        SELECT receiver, (
            SELECT min(next_at) FROM notifier_outbox o WHERE o.partition = :partition AND o.dead = FALSE AND o.receiver = lanes.receiver
        ) AS due_at, (
            SELECT org_id FROM notifier_outbox o WHERE o.partition = :partition AND o.dead = FALSE AND o.receiver = lanes.receiver LIMIT 1
        ) AS org_id FROM lanes WHERE receiver IS NOT NULL
    ), ranked AS (
        SELECT receiver, due_at, row_number() OVER (PARTITION BY org_id ORDER BY due_at, receiver) AS place FROM waiting
    )
    SELECT receiver, due_at FROM ranked ORDER BY place, due_at, receiver LIMIT :most
    """
)
"""A few steps through the index for each receiver, however many messages wait for it. Each org's first comes before any org's second.

SQLite uses the index's columns after `dead` only where that is compared: by `NOT dead` each step read all receivers before it.
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is due, and the server it goes to. `enqueued_at` in seconds since 1970."""

    id: str
    org_id: str
    campaign_id: str
    sequence: int
    name: str
    body: bytes
    server: dict[str, Any]
    failures: int
    enqueued_at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that was not taken `at` this moment; the next is due `next_at`, or never: then the message is dead.

    Both in seconds since 1970. `error` holds nothing of the answer.
    """

    id: str
    failures: int
    at: float
    next_at: float | None
    error: str


class Outbox:
    """The half of the store that is sent from."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def lanes(self, partition: int) -> dict[str, float]:
        """When the first message is due for each receiver that has one waiting; of very many those due first, of all orgs alike."""
        async with reading(self._database) as connection:
            return {row[0]: row[1] for row in await connection.execute(_LANES, {"partition": partition, "most": MOST_LANES})}

    async def due(self, partition: int, receiver: str, now: float, limit: int) -> list[Delivery]:
        """The receiver's messages that are due, those first that have waited longest, then in the campaign's order."""
        asked = (
            select(outbox, campaigns.c.server)
            .join(campaigns, campaigns.c.id == outbox.c.campaign_id)
            .where(outbox.c.partition == partition, outbox.c.dead.is_(False), outbox.c.receiver == receiver, outbox.c.next_at <= now)
            .order_by(outbox.c.next_at, outbox.c.sequence)
            .limit(limit)
        )
        async with reading(self._database) as connection:
            return [_delivery(row) for row in (await connection.execute(asked)).mappings()]

    async def settle(self, taken: Sequence[str], failed: Sequence[Failed]) -> None:
        """Forget what was taken and keep what failed, in one transaction; idempotent."""
        again = [
            {
                "settled_id": failure.id,
                "failures": failure.failures,
                "next_at": failure.at if failure.next_at is None else failure.next_at,
                "dead": failure.next_at is None,
                "last_error": failure.error,
            }
            for failure in failed
        ]
        async with writing(self._database) as connection:
            if taken:
                await connection.execute(delete(outbox).where(outbox.c.id.in_(taken)))
            if again:
                await connection.execute(update(outbox).where(outbox.c.id == bindparam("settled_id")), again)
                died = [failure.id for failure in failed if failure.next_at is None]
                noted = select(outbox.c.partition, outbox.c.id).where(outbox.c.id.in_(died))
                await connection.execute(insert(changes).from_select(["partition", "key"], noted))

    async def dead(self, org_id: str | None = None) -> list[RowMapping]:
        """What was given up, oldest first."""
        asked = select(outbox).where(outbox.c.dead.is_(True)).order_by(outbox.c.enqueued_at, outbox.c.campaign_id, outbox.c.sequence)
        if org_id is not None:
            asked = asked.where(outbox.c.org_id == org_id)
        async with reading(self._database) as connection:
            return list((await connection.execute(asked)).mappings())

    async def replay(self, now: float, ids: Sequence[str] | None = None, org_id: str | None = None) -> int:
        """Let the dead be sent as if they were new, all of them unless ids or an org are given; how many there were. Ids stay."""
        async with writing(self._database) as connection:
            return await revive(connection, now, ids, org_id)

    async def expire(self, partition: int, dead_until: float) -> int:
        """Forget what was given up until then and let that be told: the oldest, at most 1,000 in a transaction; how many."""
        old = (outbox.c.partition == partition, outbox.c.dead.is_(True), outbox.c.next_at <= dead_until)
        oldest = select(outbox.c.id).where(*old).order_by(outbox.c.next_at, outbox.c.id).limit(_CHANGED_AT_ONCE)
        # asked of each row once more, since another process may revive it meanwhile
        gone = delete(outbox).where(outbox.c.id.in_(oldest), *old).returning(outbox.c.partition, outbox.c.id)
        async with writing(self._database) as connection:
            expired = [{"partition": partition, "key": id} for partition, id in await connection.execute(gone)]
            if expired:
                await connection.execute(insert(changes), expired)
            return len(expired)

    async def forget_campaigns(self) -> int:
        """Forget those of which nothing more can be told and nothing waits or is dead; at most 1,000 in a transaction; how many."""
        waiting = select(outbox.c.id).where(outbox.c.campaign_id == campaigns.c.id)
        over = select(campaigns.c.id).where(text("names = '[]'"), ~waiting.exists()).limit(_CHANGED_AT_ONCE)
        async with writing(self._database) as connection:
            return (await connection.execute(delete(campaigns).where(campaigns.c.id.in_(over)))).rowcount


async def revive(connection: AsyncConnection, now: float, ids: Sequence[str] | None, org_id: str | None) -> int:
    """`Outbox.replay` within the transaction of the connection; of any number, in bounded memory."""
    asked = select(outbox.c.id).where(outbox.c.dead.is_(True)).limit(_CHANGED_AT_ONCE)
    if ids is not None:
        asked = asked.where(outbox.c.id.in_(ids))
    if org_id is not None:
        asked = asked.where(outbox.c.org_id == org_id)
    fresh = {"dead": False, "failures": 0, "next_at": now, "enqueued_at": now, "last_error": None}
    count = 0
    while True:
        some = update(outbox).where(outbox.c.id.in_(asked)).values(fresh).returning(outbox.c.partition, outbox.c.id)
        revived = [{"partition": partition, "key": id} for partition, id in await connection.execute(some)]
        if not revived:
            return count
        await connection.execute(insert(changes), revived)
        count += len(revived)


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        org_id=row["org_id"],
        campaign_id=row["campaign_id"],
        sequence=row["sequence"],
        name=row["name"],
        body=row["body"],
        server=orjson.loads(row["server"]),
        failures=row["failures"],
        enqueued_at=row["enqueued_at"],
    )
