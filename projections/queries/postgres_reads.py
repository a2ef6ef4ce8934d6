"""Owns what nearly every request asks, on PostgreSQL: the versions of campaigns, one question for all who ask meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import any_, bindparam
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import NullPool

from projections.queries.campaigns import is_shown, select_version
from projections.queries.views import CampaignVersion
from projections.store.engine import open_database
from projections.store.tables import campaigns

Asked = tuple[str, str]
"""Org and campaign."""


class PostgresReads:
    """One connection and one prepared statement. Who asks gets what a statement finds that begins after the question came.

    Raises `DATABASE_FAULTS`; a server that is silent for `answer_seconds` is away, and the connection to it is not used again.
    """

    def __init__(self, database: AsyncEngine, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        url = database.url.render_as_string(hide_password=False)
        self._database = open_database(url, poolclass=NullPool)
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._waiting: dict[Asked, asyncio.Future[CampaignVersion | None]] = {}
        self._asking: asyncio.Task[None] | None = None
        query = select_version(campaigns.c.org_id, campaigns.c.id).where(campaigns.c.id == any_(bindparam("ids")), *is_shown(deleted=False))
        compiled = query.compile(dialect=asyncpg_dialect.dialect())  # type: ignore[no-untyped-call]
        self._sql = str(compiled)

    async def version(self, org_id: str, campaign_id: str) -> CampaignVersion | None:
        asked = org_id, campaign_id
        waiter = self._waiting.get(asked)
        if waiter is None:
            waiter = self._waiting[asked] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(waiter)

    async def close(self) -> None:
        """Fails who waits; the next question connects anew."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._let_go()
        await self._database.dispose()

    async def _ask(self) -> None:
        asked: dict[Asked, asyncio.Future[CampaignVersion | None]] = {}
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, {}
                async with asyncio.timeout(self._answer_seconds):
                    found = await self._find([campaign_id for _, campaign_id in asked])
                for key, waiter in asked.items():
                    waiter.set_result(found.get(key))
        except BaseException as error:
            for waiter in (*asked.values(), *self._waiting.values()):
                if not waiter.done():
                    waiter.set_exception(error)
                    # who asked may be gone: the failure is nobody's then
                    waiter.exception()
            self._waiting = {}
            await self._let_go()
            if not isinstance(error, Exception):
                raise
        finally:
            self._asking = None

    async def _find(self, ids: Sequence[str]) -> dict[Asked, CampaignVersion]:
        if self._connection is None:
            self._connection = await self._database.connect()
            self._driver = (await self._connection.get_raw_connection()).driver_connection
        rows = await self._driver.fetch(self._sql, ids)
        return {(row[2], row[3]): CampaignVersion(row[0], row[1]) for row in rows}

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()
