"""Owns the reads of campaigns: one, or a page of an org's list (contract, "Requests")."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, case, cast, extract, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.views import CampaignsQuery, CampaignVersion, Comparison, Page
from projections.store.generations import GENERATION
from projections.store.tables import campaigns, meta, offsets

_COLUMNS = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]


def of_org(org_id: Any, campaign_id: Any) -> list[ColumnElement[bool]]:
    """The campaign if it belongs to the org, is shown and was not deleted."""
    return [campaigns.c.id == campaign_id, campaigns.c.org_id == org_id, *is_shown(deleted=False)]


def is_shown(*, deleted: bool) -> list[ColumnElement[bool]]:
    """The conditions of being shown, of deleted ones too where `deleted` asks for them."""
    return [campaigns.c.shown] if deleted else [campaigns.c.shown, campaigns.c.deleted.is_(False)]


def select_campaign(org_id: Any, campaign_id: Any, *, deleted: bool) -> Select[Any]:
    """The campaign if it belongs to the org and is shown."""
    return select(*_COLUMNS).where(campaigns.c.id == campaign_id, campaigns.c.org_id == org_id, *is_shown(deleted=deleted))


def select_version(*more: ColumnElement[Any]) -> Select[Any]:
    """The columns of a `CampaignVersion`, and more."""
    generation = select(meta.c.value).where(meta.c.name == GENERATION).scalar_subquery()
    return select(generation, campaigns.c.version, *more)


def select_offsets() -> Select[Any]:
    return select(offsets.c.partition, offsets.c.next_offset)


async def read_campaign(connection: AsyncConnection, org_id: str, campaign_id: str, deleted: bool) -> CampaignRow | None:
    """The campaign if it belongs to the org and is shown; a deleted one only where `deleted` asks for it."""
    row = (await connection.execute(select_campaign(org_id, campaign_id, deleted=deleted))).first()
    return None if row is None else CampaignRow(*row)


async def read_version(connection: AsyncConnection, org_id: str, campaign_id: str) -> CampaignVersion | None:
    row = (await connection.execute(select_version().where(*of_org(org_id, campaign_id)))).first()
    return None if row is None else CampaignVersion(*row)


async def read_campaigns_page(connection: AsyncConnection, query: CampaignsQuery) -> Page[CampaignRow]:
    conditions = _conditions(query)
    total = (await connection.execute(select(func.count()).select_from(campaigns).where(*conditions))).scalar_one()
    start = (query.page - 1) * query.limit
    if start >= total:
        return Page([], total)
    statement = _ordered(select(*_COLUMNS).where(*conditions), query, connection.dialect.name)
    rows = await connection.execute(statement.limit(query.limit).offset(start))
    return Page([CampaignRow(*row) for row in rows], total)


def _conditions(query: CampaignsQuery) -> list[ColumnElement[bool]]:
    table = campaigns.c
    conditions = [table.org_id == query.org_id, table.shown.is_(True), table.deleted.is_(False)]
    conditions.append(table.status != "archived" if query.status is None else table.status == query.status)
    if query.campaign_id is not None:
        conditions.append(table.id == query.campaign_id)
    return [*conditions, *_compared(table.created_at, query.created), *_compared(table.updated_at, query.updated)]


def _compared(column: ColumnElement[Any], bounds: Sequence[tuple[Comparison, str]]) -> list[ColumnElement[bool]]:
    comparisons = {"gt": column.__gt__, "lt": column.__lt__, "ge": column.__ge__, "le": column.__le__}
    return [comparisons[comparison](at) for comparison, at in bounds]


def _ordered(statement: Select[Any], query: CampaignsQuery, dialect: str) -> Select[Any]:
    keys: list[ColumnElement[Any]] = [campaigns.c.created_at, campaigns.c.id]
    if query.order == "cost":
        keys.insert(0, campaigns.c.cost_micros)
    elif query.order == "duration":
        keys.insert(0, _duration(dialect))
    return statement.order_by(*(key.desc() if query.descending else key.asc() for key in keys))


def _duration(dialect: str) -> ColumnElement[Any]:
    """From the first call's start to the campaign's end; 0 where either is missing."""
    started, ended = campaigns.c.started_at, campaigns.c.ended_at
    if dialect == "sqlite":
        span: ColumnElement[Any] = func.julianday(ended) - func.julianday(started)
    else:
        instant = DateTime(timezone=True)
        span = extract("epoch", cast(ended, instant) - cast(started, instant))
    return case((started.is_(None) | ended.is_(None), 0), else_=span)
