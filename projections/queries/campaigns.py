"""Owns the reads of campaigns: one, or a page of an org's list (contract, "Requests")."""

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.views import CampaignVersion
from projections.store.tables import GENERATION, campaigns, meta, offsets

_COLUMNS = [campaigns.c[name] for name in CAMPAIGN_COLUMNS]


def of_org(org_id: Any, campaign_id: Any, *, deleted: bool = False) -> list[ColumnElement[bool]]:
    """The campaign if it belongs to the org and is shown; a deleted one only where `deleted` asks for it."""
    return [campaigns.c.id == campaign_id, campaigns.c.org_id == org_id, *is_shown(deleted=deleted)]


def is_shown(*, deleted: bool) -> list[ColumnElement[bool]]:
    """The conditions of being shown, of deleted ones too where `deleted` asks for them."""
    return [campaigns.c.shown] if deleted else [campaigns.c.shown, campaigns.c.deleted.is_(False)]


def select_campaign(org_id: Any, campaign_id: Any, *, deleted: bool) -> Select[Any]:
    """The campaign if it belongs to the org and is shown."""
    return select(*_COLUMNS).where(*of_org(org_id, campaign_id, deleted=deleted))


def select_version(*more: ColumnElement[Any]) -> Select[Any]:
    """The columns of a `CampaignVersion`, and more."""
    return select(select_generation(), campaigns.c.version, *more)


def select_generation() -> ScalarSelect[Any]:
    return select(meta.c.value).where(meta.c.name == literal_column(f"'{GENERATION}'")).scalar_subquery()


def select_offsets() -> Select[Any]:
    return select(offsets.c.partition, offsets.c.next_offset)


async def read_campaign(connection: AsyncConnection, org_id: str, campaign_id: str, deleted: bool) -> CampaignRow | None:
    """The campaign if it belongs to the org and is shown; a deleted one only where `deleted` asks for it."""
    row = (await connection.execute(select_campaign(org_id, campaign_id, deleted=deleted))).first()
    return None if row is None else CampaignRow(*row)


async def read_version(connection: AsyncConnection, org_id: str, campaign_id: str) -> CampaignVersion | None:
    row = (await connection.execute(select_version().where(*of_org(org_id, campaign_id)))).first()
    return None if row is None else CampaignVersion(*row)
