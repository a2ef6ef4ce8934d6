"""Owns the reads of calls and contacts: by keyset pages in the order of positions, by page number, by id."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.page_size import check_page
from projections.queries.views import CallDetail, CallView
from projections.store.tables import calls, campaigns

MAX_PAGE_CHARACTERS = 2 * 1024 * 1024
"""Of the customers and analyses of a page of calls, less its last: they may be large, and whoever reads slowly holds a page."""

_VIEW = [calls.c[name] for name in CallView._fields]
_CAMPAIGN = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]


async def read_calls_from(connection: AsyncConnection, campaign_id: str, position: int, limit: int) -> tuple[int | None, list[CallView]]:
    """The campaign's first position now (None if it is gone), and calls from `position` on, in order.

    They end where there are `limit`, or where they are large. Where they are fewer than `limit` and not `is_large`, they are the last.
    """
    first = (await connection.execute(select(campaigns.c.first_position).where(campaigns.c.id == campaign_id))).scalar_one_or_none()
    of_page = calls.c.campaign_id == campaign_id, calls.c.position >= position
    size = func.length(calls.c.customer) + func.coalesce(func.length(calls.c.analysis), 0)
    sized = select(calls.c.position, size.label("size")).where(*of_page).order_by(calls.c.position).limit(limit).subquery()
    before = func.sum(sized.c.size).over(order_by=sized.c.position) - sized.c.size
    running = select(sized.c.position, before.label("before")).subquery()
    last = select(func.max(running.c.position)).where(running.c.before < MAX_PAGE_CHARACTERS).scalar_subquery()
    query = select(*_VIEW).where(*of_page, calls.c.position <= last).order_by(calls.c.position)
    return first, [CallView(*row) for row in await connection.execute(query)]


def is_large(page: Sequence[CallView]) -> bool:
    """Whether a page may have been cut off by `MAX_PAGE_CHARACTERS`."""
    return sum(map(call_characters, page)) >= MAX_PAGE_CHARACTERS


def call_characters(call: CallView) -> int:
    return len(call.customer) + len(call.analysis or "")


async def read_newest_calls(connection: AsyncConnection, org_id: str, campaign_id: str, limit: int) -> list[CallDetail] | None:
    """The last calls of the campaign first; None where the org has no such campaign."""
    campaign = await _shown(connection, org_id, campaign_id)
    if campaign is None:
        return None
    query = select(*_VIEW).where(calls.c.campaign_id == campaign_id).order_by(calls.c.position.desc()).limit(limit)
    await check_page(connection, query, limit, calls.c.customer, calls.c.analysis)
    return [CallDetail(CallView(*row), campaign) for row in await connection.execute(query)]


async def read_call(connection: AsyncConnection, org_id: str, call_id: str) -> CallDetail | None:
    query = (
        select(*_VIEW, *_CAMPAIGN)
        .join_from(calls, campaigns, calls.c.campaign_id == campaigns.c.id)
        .where(calls.c.id == call_id, campaigns.c.org_id == org_id, campaigns.c.shown.is_(True), campaigns.c.deleted.is_(False))
    )
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return CallDetail(CallView(*row[: len(_VIEW)]), CampaignRow(*row[len(_VIEW) :]))


async def _shown(connection: AsyncConnection, org_id: str, campaign_id: str) -> CampaignRow | None:
    query = select(*_CAMPAIGN).where(
        campaigns.c.id == campaign_id, campaigns.c.org_id == org_id, campaigns.c.shown.is_(True), campaigns.c.deleted.is_(False)
    )
    row: Any = (await connection.execute(query)).first()
    return None if row is None else CampaignRow(*row)
