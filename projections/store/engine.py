"""Owns how the read model's database is opened, and how its transactions begin."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import asyncpg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from projections.store.vanished_peer import notice_vanished_peer

BUSY_TIMEOUT_SECONDS = 30
"""How long a write on SQLite waits for another process's write."""

DATABASE_FAULTS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What a database that is away raises: while it is connected to, SQLAlchemy passes the driver's own errors on."""

_CACHE_KIB = 8 * 1024
_WRITER_CACHE_KIB = 16 * 1024
"""Of pages of the database, for each connection, of which a process has up to fifteen; the system caches the file too."""
_CHECKPOINT_PAGES = 16_384
"""64 MiB of the WAL: a page that batch after batch changes is copied into the database once in a while, not each time."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_IMMEDIATE = "ringfold_immediate"


def with_async_driver(url: str) -> str:
    """The same database by the driver that we use; raises `ValueError` where it is no URL of SQLite or PostgreSQL."""
    scheme, separator, rest = url.partition("://")
    family = scheme.partition("+")[0]
    if not separator or family not in _DRIVERS:
        raise ValueError("must be sqlite:///<path> or postgresql://<user>@<host>/<database>")
    named = f"{_DRIVERS[family]}://{rest}"
    try:
        make_url(named)
    except ArgumentError as error:
        raise ValueError("is no database URL") from error
    return named


def open_database(database_url: str, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS, **options: Any) -> AsyncEngine:
    """An engine for SQLite (a file, WAL) or PostgreSQL (asyncpg); connects on first use. `options` go to SQLAlchemy.

    `busy_timeout_seconds` bounds what a write on SQLite waits: a statement under way can not be given up from outside.

    TLS is asked for as libpq does: by `sslmode`, `sslrootcert`, `sslcert`, `sslkey` in the query of the URL. They stay in the
    engine's URL, so that whatever is opened by that one is opened alike.
    """
    url = make_url(with_async_driver(database_url))
    if url.get_backend_name() != "sqlite":
        engine = create_async_engine(url, hide_parameters=True, **options)
        event.listen(engine.sync_engine, "do_connect", _give_tls_arguments)
        event.listen(engine.sync_engine, "connect", notice_vanished_peer)
        return engine
    arguments = {"timeout": busy_timeout_seconds, "isolation_level": None}
    engine = create_async_engine(url, connect_args=arguments, hide_parameters=True, **options)
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _give_tls_arguments(dialect: Any, record: Any, positional: Any, arguments: dict[str, Any]) -> None:
    """Of SQLAlchemy's event `do_connect`: hands libpq's TLS parameters to asyncpg in an address, the only place where it reads them."""
    tls = {name: arguments.pop(name) for name in [*arguments] if name.startswith("ssl")}
    if tls:
        arguments["dsn"] = f"postgresql:///?{urlencode(tls, doseq=True)}"


def open_sqlite_writer(database: AsyncEngine) -> Engine:
    """The same SQLite file for a thread that writes: plain calls, one connection, every transaction takes the write lock at once."""
    url = database.url.set(drivername="sqlite+pysqlite")
    arguments = {"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": None, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments, poolclass=StaticPool, execution_options={_IMMEDIATE: True}, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "connect", _configure_sqlite_writer)
    event.listen(engine, "begin", _begin_sqlite)
    # the driver looks for an adapter of each value but text and numbers, which for NULL takes longer than all else where none is found
    sqlite3.register_adapter(type(None), {None: None}.get)
    sqlite3.register_adapter(bool, int)
    return engine


def _configure_sqlite_writer(connection: Any, record: Any) -> None:
    connection.execute(f"PRAGMA cache_size={-_WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")


def _configure_sqlite(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=OFF", "temp_store=MEMORY", f"cache_size={-_CACHE_KIB}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One read transaction: everything in it is seen as of one moment. Keep it short, a long one pins SQLite's WAL."""
    isolation = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    async with engine.connect() as connection:
        await connection.execution_options(**isolation)
        async with connection.begin():
            yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One write transaction, committed at the end and rolled back by any exception; on SQLite it takes the write lock at once."""
    async with engine.connect() as connection:
        await connection.execution_options(**{_IMMEDIATE: True})
        async with connection.begin():
            yield connection
