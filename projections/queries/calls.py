"""Owns the reads of calls and contacts: by keyset pages in the order of positions, by page number, by id."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.views import CallDetail, CallView
from projections.store.tables import calls, campaigns

_VIEW = [calls.c[name] for name in CallView._fields]
_CAMPAIGN = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]


async def read_calls_from(connection: AsyncConnection, campaign_id: str, position: int, limit: int) -> tuple[int | None, list[CallView]]:
    """The campaign's first position now (None if it is gone), and up to `limit` calls from `position` on, in order."""
    first = (await connection.execute(select(campaigns.c.first_position).where(campaigns.c.id == campaign_id))).scalar_one_or_none()
    query = select(*_VIEW).where(calls.c.campaign_id == campaign_id, calls.c.position >= position).order_by(calls.c.position).limit(limit)
    return first, [CallView(*row) for row in await connection.execute(query)]


async def read_newest_calls(connection: AsyncConnection, org_id: str, campaign_id: str, limit: int) -> list[CallDetail] | None:
    """The last calls of the campaign first; None where the org has no such campaign."""
    campaign = await _shown(connection, org_id, campaign_id)
    if campaign is None:
        return None
    query = select(*_VIEW).where(calls.c.campaign_id == campaign_id).order_by(calls.c.position.desc()).limit(limit)
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
