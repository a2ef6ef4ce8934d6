"""Owns the reads of campaigns: one, or a page of an org's list (contract, "Requests")."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, case, cast, extract, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.views import CampaignsQuery, Comparison, Page
from projections.store.tables import campaigns

_COLUMNS = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]


async def read_campaign(connection: AsyncConnection, org_id: str, campaign_id: str, deleted: bool) -> CampaignRow | None:
    """The campaign if it belongs to the org and is shown; a deleted one only where `deleted` asks for it."""
    query = select(*_COLUMNS).where(campaigns.c.id == campaign_id, campaigns.c.org_id == org_id, campaigns.c.shown)
    if not deleted:
        query = query.where(campaigns.c.deleted.is_(False))
    row = (await connection.execute(query)).first()
    return None if row is None else CampaignRow(*row)


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
