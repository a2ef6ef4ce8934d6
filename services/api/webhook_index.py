"""Owns what an API process knows of `webhook-state`: a SQLite file of its own, made anew from the topic whenever it is followed."""

from collections.abc import Iterable, Sequence

import orjson
from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.instants import iso
from events.webhooks import DeadWebhook, WebhookReplay
from projections.queries.views import Page
from projections.store.engine import reading, writing

_metadata = MetaData()

_dead = Table(
    "dead_webhooks",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("campaign_id", Text, nullable=False),
    Column("dead_at", Text, nullable=False),
    Column("webhook", LargeBinary, nullable=False),
    Index("dead_webhooks_by_org", "org_id", "dead_at", "id"),
    Index("dead_webhooks_by_campaign", "org_id", "campaign_id", "dead_at", "id"),
)
_replays = Table(
    "replays",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, nullable=False),
    Column("request_hash", Text),
    Column("replayed", Integer, nullable=False),
)

Change = tuple[str, DeadWebhook | WebhookReplay | None]
"""A key of the topic and its newest state, or that it has none any more."""


class WebhookIndex:
    """Bounded in memory, whatever the number of dead webhooks. The newest state of a key counts, so that folding again is harmless."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def clear(self) -> None:
        """Know nothing."""
        async with writing(self._database) as connection:
            await connection.run_sync(_metadata.drop_all)
            await connection.run_sync(_metadata.create_all)

    async def fold(self, changes: Iterable[Change]) -> None:
        """Take the topic's next records, in their order, in one transaction."""
        newest = dict(changes)
        if newest:
            async with writing(self._database) as connection:
                await _replace(connection, newest)

    async def dead(self, org_id: str, campaign_id: str | None, page: int, limit: int, descending: bool) -> Page[bytes]:
        """The org's dead webhooks as JSON, by when they died."""
        asked = [_dead.c.org_id == org_id] + ([] if campaign_id is None else [_dead.c.campaign_id == campaign_id])
        order = [column.desc() if descending else column.asc() for column in (_dead.c.dead_at, _dead.c.id)]
        some = select(_dead.c.webhook).where(*asked).order_by(*order).limit(limit).offset((page - 1) * limit)
        async with reading(self._database) as connection:
            total = (await connection.execute(select(func.count()).select_from(_dead).where(*asked))).scalar_one()
            items = list((await connection.execute(some)).scalars())
        return Page(items, total)

    async def replay(self, org_id: str, command_id: str) -> WebhookReplay | None:
        """What came of the org's command, where that is known."""
        asked = select(_replays).where(_replays.c.id == command_id, _replays.c.org_id == org_id)
        async with reading(self._database) as connection:
            row = (await connection.execute(asked)).first()
        return None if row is None else WebhookReplay(id=row.id, org_id=row.org_id, request_hash=row.request_hash, replayed=row.replayed)


async def _replace(connection: AsyncConnection, newest: dict[str, DeadWebhook | WebhookReplay | None]) -> None:
    keys: Sequence[str] = list(newest)
    for table in (_dead, _replays):
        await connection.execute(delete(table).where(table.c.id.in_(keys)))
    dead = [_dead_row(state) for state in newest.values() if isinstance(state, DeadWebhook)]
    replays = [state.model_dump() for state in newest.values() if isinstance(state, WebhookReplay)]
    for table, rows in ((_dead, dead), (_replays, replays)):
        if rows:
            await connection.execute(insert(table), rows)


def _dead_row(webhook: DeadWebhook) -> dict[str, object]:
    return {
        "id": webhook.id,
        "org_id": webhook.org_id,
        "campaign_id": webhook.campaign_id,
        "dead_at": iso(webhook.dead_at),
        "webhook": orjson.dumps(webhook.to_wire()),
    }
