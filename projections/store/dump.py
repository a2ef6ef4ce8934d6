"""Owns the canonical dump of the read model: the same rows give the same bytes on either database, in whatever order they were written."""

from collections.abc import AsyncIterator

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.store.engine import reading
from projections.store.tables import LIVE, Tables


async def dump(database: AsyncEngine, tables: Tables = LIVE) -> AsyncIterator[bytes]:
    """A line for each campaign, call and handled command, a JSON array of the columns' values, in the order of the tables' keys.

    Read in one transaction. The offsets are left out: how far a batch reached beyond its last record depends on where the
    fetch was cut.
    """
    async with reading(database) as connection:
        for table in (tables.campaigns, tables.calls, tables.handled_commands):
            query = select(table).order_by(*table.primary_key)
            async with connection.stream(query) as rows:
                async for row in rows:
                    yield orjson.dumps(list(row)) + b"\n"
