"""Owns the pages of a campaign's contacts (contract, "Requests"): any page at the cost of the first."""

from collections.abc import Hashable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.rows import CAMPAIGN_COLUMNS, CampaignRow
from projections.queries.campaigns import of_org, select_version
from projections.queries.marks import MARK_EVERY, NEAR, KnownMarks, Marks
from projections.queries.page_size import check_page
from projections.queries.views import CallView, ContactOrder, Page
from projections.store.tables import calls, campaigns

_VIEW = [calls.c[name] for name in CallView._fields]
CONTACT_STATUSES = (
    "contact.pending",
    "contact.dispatched",
    "contact.completed",
    "contact.failed",
    "contact.skipped",
    "contact.predial-failed",
)
"""In the order in which they sort (contract's OpenAPI, `sortBy=status`)."""


async def read_contacts_page(
    connection: AsyncConnection,
    org_id: str,
    campaign_id: str,
    statuses: Sequence[str],
    order: ContactOrder,
    page: int,
    limit: int,
    known: KnownMarks,
) -> Page[CallView] | None:
    """One page of the campaign's contacts with any of `statuses` (all where empty); None where the org has no such campaign.

    How many there are of each status the campaign's row says, so that nothing is counted.
    """
    query = select_version(*(campaigns.c[name] for name in CAMPAIGN_COLUMNS)).where(*of_org(org_id, campaign_id))
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    contacts = _Contacts(connection, CampaignRow(*row[2:]), row[:2], known)
    wanted = [status for status in CONTACT_STATUSES if status in statuses or not statuses]
    start = (page - 1) * limit
    items: list[CallView] = []
    for group in [[status] for status in wanted] if order == "status" else [wanted]:
        size = contacts.count(group)
        if start < size and len(items) < limit:
            items += await contacts.read(group, start, min(limit - len(items), size - start))
        start = max(0, start - size)
    return Page(items, contacts.count(wanted))


class _Contacts:
    """The contacts of one campaign, in the order of positions."""

    def __init__(self, connection: AsyncConnection, campaign: CampaignRow, state: Hashable, known: KnownMarks) -> None:
        self._connection = connection
        self._campaign = campaign
        self._state = state
        self._known = known

    def count(self, statuses: Sequence[str]) -> int:
        names = (status.removeprefix("contact.").replace("-", "_") for status in statuses)
        return sum(getattr(self._campaign, f"contacts_{name}") for name in names)

    async def read(self, statuses: Sequence[str], start: int, count: int) -> list[CallView]:
        """So many of those with any of the statuses, from the `start`th on."""
        of_campaign, first_position = calls.c.campaign_id == self._campaign.id, self._campaign.first_position
        conditions: list[ColumnElement[bool]] = [of_campaign]
        if self.count(statuses) == self.count(CONTACT_STATUSES):
            # positions have no gaps, so that each says where it stands
            return await self._rows([of_campaign, calls.c.position >= first_position + start], 0, count)
        conditions.append(calls.c.contact_status.in_(statuses))
        if start <= NEAR:
            return await self._rows(conditions, start, count)
        which = self._campaign.id, tuple(statuses)
        marks = self._known.of(which, self._state)
        if marks is None or marks.keys is None:
            marks = self._known.keep(which, self._state, Marks(self.count(statuses), await self._positions(conditions)))
        mark, passed = divmod(start, MARK_EVERY)
        return await self._rows([*conditions, calls.c.position >= (marks.keys or ())[mark]], passed, count)

    async def _rows(self, conditions: Sequence[ColumnElement[bool]], passed: int, count: int) -> list[CallView]:
        query = select(*_VIEW).where(*conditions).order_by(calls.c.position).offset(passed).limit(count)
        await check_page(self._connection, query, count, calls.c.customer, calls.c.analysis)
        return [CallView(*row) for row in await self._connection.execute(query)]

    async def _positions(self, conditions: Sequence[ColumnElement[bool]]) -> list[Any]:
        number = (func.row_number().over(order_by=calls.c.position) - 1).label("number")
        numbered = select(number, calls.c.position).where(*conditions).subquery()
        query = select(numbered.c.position).where(numbered.c.number % MARK_EVERY == 0).order_by(numbered.c.number)
        return list((await self._connection.execute(query)).scalars())
