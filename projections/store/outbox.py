"""Owns the list of campaigns whose newest summary is not on `campaign-state` yet (design, "Read model")."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, and_, bindparam, delete, select

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.store.engine import reading
from projections.store.sql_store import SqlProjectionStore
from projections.store.tables import campaigns, outbox


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A campaign as it is now, and the version with which the entry was read, which may be older."""

    campaign: CampaignRow
    version: int


class Outbox(Protocol):
    """Entries are written by the transaction that changes the campaign; one entry a campaign, the newest version wins."""

    async def unpublished(self, partition: int, limit: int) -> list[Unpublished]:
        """Some entries of the partition, in the order of the campaigns' ids; entries and campaigns as of one moment."""

    async def published(self, entries: Iterable[Unpublished]) -> None:
        """Delete the entries, except those that were asked for anew since; idempotent."""


class SqlOutbox:
    """An `Outbox` in the read model's own database."""

    def __init__(self, store: SqlProjectionStore) -> None:
        self._store = store

    async def unpublished(self, partition: int, limit: int) -> list[Unpublished]:
        columns = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]
        query = (
            select(outbox.c.version, *columns)
            .join_from(outbox, campaigns, outbox.c.campaign_id == campaigns.c.id)
            .where(outbox.c.partition == partition)
            .order_by(outbox.c.campaign_id)
            .limit(limit)
        )
        async with reading(self._store.database) as connection:
            rows = (await connection.execute(query)).all()
        return [Unpublished(CampaignRow(*row[1:]), row[0]) for row in rows]

    async def published(self, entries: Iterable[Unpublished]) -> None:
        done = sorted((entry.campaign.id, entry.version) for entry in entries)
        await self._store.writer.run(partial(_forget, entries=done))


def _forget(connection: Connection, entries: Sequence[tuple[str, int]]) -> None:
    same = and_(outbox.c.campaign_id == bindparam("id"), outbox.c.version == bindparam("at"))
    connection.execute(delete(outbox).where(same), [{"id": campaign_id, "at": version} for campaign_id, version in entries])
