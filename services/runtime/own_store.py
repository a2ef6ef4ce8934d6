"""Owns how a service opens a store that only it touches: beside the read model on PostgreSQL, a file of its own on SQLite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateColumn

from projections.store.engine import BUSY_TIMEOUT_SECONDS, DATABASE_FAULTS, open_database, writing
from services.runtime.errors import StartupError
from services.runtime.settings import Settings

_SCHEMA_LOCK = 4_807_155_930
"""The PostgreSQL advisory lock under which such tables are made; the number means nothing."""


@asynccontextmanager
async def open_own_store(
    settings: Settings, service: str, tables: MetaData, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
) -> AsyncIterator[AsyncEngine]:
    """The service's own database, its tables made; raises `StartupError` where it can not be opened.

    `busy_timeout_seconds` as `open_database` takes it, for what comes after the start.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    url = settings.own_store_url(service)
    starting = open_database(url)
    try:
        await ensure_tables(starting, tables)
    except DATABASE_FAULTS as error:
        raise StartupError(f"the {service}'s own database can not be opened: see DATA_DIR and DATABASE_URL") from error
    finally:
        await starting.dispose()
    database = open_database(url, busy_timeout_seconds)
    try:
        yield database
    finally:
        await database.dispose()


async def ensure_tables(database: AsyncEngine, tables: MetaData) -> None:
    """Create the tables, and the columns and indexes that a later release gave them.

    Idempotent, and safe when several processes start at once. A column that is added must be nullable: the rows that are there have
    nothing in it.
    """
    async with writing(database) as connection:
        if database.dialect.name != "sqlite":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
        await connection.run_sync(tables.create_all)
        await connection.run_sync(_add_columns_and_indexes, tables)


def _add_columns_and_indexes(connection: Connection, tables: MetaData) -> None:
    inspector = inspect(connection)
    for table in tables.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f'ALTER TABLE "{table.name}" ADD COLUMN {definition}'))
        for index in table.indexes:
            index.create(connection, checkfirst=True)
