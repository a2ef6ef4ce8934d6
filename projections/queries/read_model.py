"""Owns what the API asks of the read model, and its adapter in SQL; a database that is away is one error."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from projections.campaign_progress.rows import CampaignRow
from projections.queries.calls import read_call, read_calls_from, read_newest_calls
from projections.queries.campaign_lists import read_campaigns_page
from projections.queries.campaigns import read_campaign, read_version, select_offsets
from projections.queries.contact_lists import read_contacts_page
from projections.queries.marks import KnownMarks
from projections.queries.postgres_reads import PostgresReads
from projections.queries.sqlite_reads import SqliteReads
from projections.queries.views import CallDetail, CallView, CampaignsQuery, CampaignVersion, ContactOrder, Page, Rejection
from projections.store.engine import DATABASE_FAULTS, reading
from projections.store.tables import handled_commands

_ANSWER_SECONDS = 20.0
"""A database that is silent for so long is away; no question takes nearly as long."""


class ReadModelAwayError(Exception):
    """The read model's database does not answer, or holds no tables yet. Retriable."""


class CallsReplacedError(Exception):
    """The campaign's calls were replaced while they were read page by page. Retriable: read the campaign anew."""


class ReadModel(Protocol):
    """Rows as of one moment for each call of a method; each raises `ReadModelAwayError`, and where it gives a page `PageTooLargeError`."""

    async def version(self, org_id: str, campaign_id: str) -> CampaignVersion | None:
        """Of the campaign that `campaign` would give, for much less than that."""

    async def campaign(self, org_id: str, campaign_id: str, *, deleted: bool = False) -> CampaignRow | None:
        """The org's campaign, once its contacts were complete; a deleted one only where `deleted` asks for it."""

    async def campaign_and_calls(
        self, org_id: str, campaign_id: str, limit: int, *, deleted: bool = False
    ) -> tuple[CampaignRow, list[CallView]] | None:
        """The campaign as `campaign` gives it, and its first calls as `calls_from` gives them, as of the same moment."""

    async def campaigns(self, query: CampaignsQuery) -> Page[CampaignRow]:
        """A page of the org's campaigns."""

    async def calls_from(self, campaign: CampaignRow, position: int, limit: int) -> list[CallView]:
        """Calls from `position` on, in order, until there are `limit` or they are large: fewer are the last unless they are `is_large`.

        Raises `CallsReplacedError` if the campaign's contacts are others by now.
        """

    async def newest_calls(self, org_id: str, campaign_id: str, limit: int) -> list[CallDetail] | None:
        """The campaign's calls, last position first; None where the org has no such campaign."""

    async def call(self, org_id: str, call_id: str) -> CallDetail | None:
        """The org's call, or None."""

    async def contacts(
        self, org_id: str, campaign_id: str, statuses: Sequence[str], order: ContactOrder, page: int, limit: int
    ) -> Page[CallView] | None:
        """A page of the campaign's contacts; None where the org has no such campaign."""

    async def next_offsets(self) -> dict[int, int]:
        """By partition, the offset of the first event that is not in the rows."""

    async def rejection(self, org_id: str, command_id: str) -> Rejection | None:
        """What the command was told when it was rejected first; None where it was not, or is not known."""


class SqlReadModel:
    """A `ReadModel` over the tables that the projector writes; every read is one short transaction. Who uses it must `close` it.

    What nearly every request asks goes the short way: on SQLite in this thread, on PostgreSQL several questions in one. On
    SQLite the long way is left for a file that is locked or away.
    """

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        is_sqlite = database.dialect.name == "sqlite"
        self._sqlite = SqliteReads(database.url.database or "") if is_sqlite else None
        self._marks = KnownMarks()
        self._postgres = None if is_sqlite else PostgresReads(database, _ANSWER_SECONDS)

    async def close(self) -> None:
        """Let go of the connections; `database` stays open."""
        if self._sqlite is not None:
            self._sqlite.close()
        if self._postgres is not None:
            await self._postgres.close()

    async def version(self, org_id: str, campaign_id: str) -> CampaignVersion | None:
        if self._sqlite is not None:
            try:
                return self._sqlite.version(org_id, campaign_id)
            except sqlite3.Error:
                self._sqlite.close()
        if self._postgres is not None:
            with _database_faults():
                return await self._postgres.version(org_id, campaign_id)
        async with self._reading() as connection:
            return await read_version(connection, org_id, campaign_id)

    async def campaign(self, org_id: str, campaign_id: str, *, deleted: bool = False) -> CampaignRow | None:
        if self._sqlite is not None:
            try:
                return self._sqlite.campaign(org_id, campaign_id, deleted)
            except sqlite3.Error:
                self._sqlite.close()
        async with self._reading() as connection:
            return await read_campaign(connection, org_id, campaign_id, deleted)

    async def campaign_and_calls(
        self, org_id: str, campaign_id: str, limit: int, *, deleted: bool = False
    ) -> tuple[CampaignRow, list[CallView]] | None:
        async with self._reading() as connection:
            row = await read_campaign(connection, org_id, campaign_id, deleted)
            if row is None:
                return None
            return row, (await read_calls_from(connection, campaign_id, row.first_position, limit))[1]

    async def campaigns(self, query: CampaignsQuery) -> Page[CampaignRow]:
        async with self._reading() as connection:
            return await read_campaigns_page(connection, query, self._marks)

    async def calls_from(self, campaign: CampaignRow, position: int, limit: int) -> list[CallView]:
        async with self._reading() as connection:
            first_position, views = await read_calls_from(connection, campaign.id, position, limit)
        if first_position != campaign.first_position:
            raise CallsReplacedError(campaign.id)
        return views

    async def newest_calls(self, org_id: str, campaign_id: str, limit: int) -> list[CallDetail] | None:
        async with self._reading() as connection:
            return await read_newest_calls(connection, org_id, campaign_id, limit)

    async def call(self, org_id: str, call_id: str) -> CallDetail | None:
        async with self._reading() as connection:
            return await read_call(connection, org_id, call_id)

    async def contacts(
        self, org_id: str, campaign_id: str, statuses: Sequence[str], order: ContactOrder, page: int, limit: int
    ) -> Page[CallView] | None:
        async with self._reading() as connection:
            return await read_contacts_page(connection, org_id, campaign_id, statuses, order, page, limit, self._marks)

    async def next_offsets(self) -> dict[int, int]:
        if self._sqlite is not None:
            try:
                return self._sqlite.next_offsets()
            except sqlite3.Error:
                self._sqlite.close()
        async with self._reading() as connection:
            return {row.partition: row.next_offset for row in await connection.execute(select_offsets())}

    async def rejection(self, org_id: str, command_id: str) -> Rejection | None:
        table = handled_commands.c
        async with self._reading() as connection:
            query = select(table.rejection).where(table.org_id == org_id, table.command_id == command_id)
            text = (await connection.execute(query)).scalar_one_or_none()
        data = {} if text is None else orjson.loads(text)
        return Rejection(data["reason"], data["messages"]) if "messages" in data else None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with _database_faults():
            async with asyncio.timeout(_ANSWER_SECONDS), reading(self._database) as connection:
                yield connection


@contextmanager
def _database_faults() -> Iterator[None]:
    try:
        yield
    except DATABASE_FAULTS as error:
        raise ReadModelAwayError("the read model's database does not answer") from error
