"""Owns the pages of an org's list of campaigns (contract, "Requests"): any page at the cost of the first."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, case, cast, extract, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.campaigns import select_generation
from projections.queries.marks import MARK_EVERY, NEAR, KnownMarks, Marks
from projections.queries.page_size import check_page
from projections.queries.views import CampaignsQuery, Comparison, Page
from projections.store.tables import campaigns, offsets

_COLUMNS = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]
_KEY = (campaigns.c.created_at, campaigns.c.id)


async def read_campaigns_page(connection: AsyncConnection, query: CampaignsQuery, known: KnownMarks) -> Page[CampaignRow]:
    """The page; the number of all items is counted once for each state of the org's partition."""
    state: Hashable = tuple((await connection.execute(_state(query.org_id))).first() or ())
    conditions, which = _conditions(query), replace(query, page=1, limit=1, order="createdAt", descending=True)
    marks = known.of(which, state)
    if marks is None:
        total = (await connection.execute(select(func.count()).select_from(campaigns).where(*conditions))).scalar_one()
        # an id is any text of the caller's, and a list of one costs nothing to count
        marks = Marks(total) if query.campaign_id is not None else known.keep(which, state, Marks(total))
    start = (query.page - 1) * query.limit
    if start >= marks.total:
        return Page([], marks.total)
    count = min(query.limit, marks.total - start)
    if query.order != "createdAt" or start <= NEAR:
        ordered = _ordered(select(*_COLUMNS).where(*conditions), query, connection.dialect.name)
        return Page(await _rows(connection, ordered.limit(count).offset(start), count), marks.total)
    if marks.keys is None:
        marks = known.keep(which, state, Marks(marks.total, await _keys(connection, conditions)))
    first = marks.total - start - count if query.descending else start
    rows = await _rows(connection, _from_mark(conditions, marks, first).limit(count), count)
    return Page(rows[::-1] if query.descending else rows, marks.total)


async def _rows(connection: AsyncConnection, statement: Select[Any], count: int) -> list[CampaignRow]:
    await check_page(connection, statement, count, campaigns.c.spec)
    return [CampaignRow(*row) for row in await connection.execute(statement)]


def _state(org_id: str) -> Select[Any]:
    """What changes whenever a row of the org may have: all that happens to an org stands in one partition of the log."""
    partition = select(campaigns.c.partition).where(campaigns.c.org_id == org_id).limit(1).scalar_subquery()
    return select(select_generation(), offsets.c.partition, offsets.c.next_offset).where(offsets.c.partition == partition)


async def _keys(connection: AsyncConnection, conditions: Sequence[ColumnElement[bool]]) -> list[tuple[str, str]]:
    number = (func.row_number().over(order_by=_KEY) - 1).label("number")
    numbered = select(number, *_KEY).where(*conditions).subquery()
    query = select(numbered.c.created_at, numbered.c.id).where(numbered.c.number % MARK_EVERY == 0).order_by(numbered.c.number)
    return [(row[0], row[1]) for row in await connection.execute(query)]


def _from_mark(conditions: Sequence[ColumnElement[bool]], marks: Marks, first: int) -> Select[Any]:
    """The campaigns from the `first`th on, counted from the oldest, oldest first."""
    mark, passed = divmod(first, MARK_EVERY)
    key = (marks.keys or ())[mark]
    return select(*_COLUMNS).where(*conditions, tuple_(*_KEY) >= tuple_(*key)).order_by(*_KEY).offset(passed)


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
    keys: list[ColumnElement[Any]] = [*_KEY]
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
