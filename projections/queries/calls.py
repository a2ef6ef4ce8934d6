"""Owns the reads of calls and contacts: by keyset pages in the order of positions, by page number, by id."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.views import CallDetail, CallView, ContactOrder, Page
from projections.store.tables import calls, campaigns

_VIEW = [calls.c[name] for name in CallView._fields]
_CAMPAIGN = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]
CONTACT_STATUSES = (
    "contact.pending",
    "contact.dispatched",
    "contact.completed",
    "contact.failed",
    "contact.skipped",
    "contact.predial-failed",
)
"""In the order in which they sort (contract's OpenAPI, `sortBy=status`)."""


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


async def read_contacts_page(
    connection: AsyncConnection, org_id: str, campaign_id: str, statuses: Sequence[str], order: ContactOrder, page: int, limit: int
) -> Page[CallView] | None:
    """One page of the campaign's contacts with any of `statuses` (all where empty); None where the org has no such campaign."""
    campaign = await _shown(connection, org_id, campaign_id)
    if campaign is None:
        return None
    total = sum(_count(campaign, status) for status in set(statuses) or CONTACT_STATUSES)
    query = select(*_VIEW).where(calls.c.campaign_id == campaign_id)
    start = (page - 1) * limit
    if start >= total:
        return Page([], total)
    if statuses:
        query = query.where(calls.c.contact_status.in_(sorted(set(statuses))))
    if order == "status":
        rank = case({status: index for index, status in enumerate(CONTACT_STATUSES)}, value=calls.c.contact_status)
        query = query.order_by(rank, calls.c.position)
    else:
        query = query.order_by(calls.c.position)
    if not statuses and order == "position":
        # without a filter positions have no gaps, so a page is found by its first position
        query = query.where(calls.c.position >= campaign.first_position + start)
    else:
        query = query.offset(start)
    return Page([CallView(*row) for row in await connection.execute(query.limit(limit))], total)


async def _shown(connection: AsyncConnection, org_id: str, campaign_id: str) -> CampaignRow | None:
    query = select(*_CAMPAIGN).where(
        campaigns.c.id == campaign_id, campaigns.c.org_id == org_id, campaigns.c.shown.is_(True), campaigns.c.deleted.is_(False)
    )
    row: Any = (await connection.execute(query)).first()
    return None if row is None else CampaignRow(*row)


def _count(campaign: CampaignRow, status: str) -> int:
    field = status.removeprefix("contact.").replace("-", "_")
    count: int = getattr(campaign, f"contacts_{field}")
    return count
