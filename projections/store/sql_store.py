"""Owns the read model in SQL: `ProjectionStore` on SQLite or PostgreSQL through SQLAlchemy Core."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.envelope import EventRecord
from projections.campaign_progress.fold import Progress, touched
from projections.dial_task.task import DialTask
from projections.engine_snapshot.snapshot import EngineSnapshot
from projections.handled_commands.fold import fold_handled, forgotten_before, named_commands
from projections.store.dial_reads import read_dial_tasks
from projections.store.engine import reading, writing
from projections.store.port import Applied, Fenced, ReadModelMismatchError
from projections.store.row_reading import read_calls, read_campaigns, read_handled
from projections.store.row_writing import RowWriting, insert_once
from projections.store.snapshot_reads import read_snapshot
from projections.store.tables import LIVE, Tables, bookkeeping, meta

_SCHEMA_LOCK = 7_216_490_235
"""The PostgreSQL advisory lock under which the schema is made; the number means nothing."""


class SqlProjectionStore:
    """A `ProjectionStore`. The database's own exceptions come through as SQLAlchemy raises them.

    `publishes`: whether changed campaigns go to the outbox; a rebuild's tables do not.
    """

    def __init__(self, database: AsyncEngine, tables: Tables = LIVE, *, publishes: bool = True) -> None:
        self._database = database
        self._tables = tables
        self._publishes = publishes
        self._writing = RowWriting(tables, database.dialect)
        # SQLite has one writer, and those of this process had better queue than sleep on its lock
        self._turn: AbstractAsyncContextManager[object] = asyncio.Lock() if self._is_sqlite else nullcontext()

    @property
    def _is_sqlite(self) -> bool:
        return self._database.dialect.name == "sqlite"

    @property
    def database(self) -> AsyncEngine:
        return self._database

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction, when it is this process's turn."""
        async with self._turn, writing(self._database) as connection:
            yield connection

    async def ensure_schema(self) -> None:
        async with self.writing() as connection:
            if not self._is_sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
            await connection.run_sync(bookkeeping.create_all)
            await connection.run_sync(self._tables.metadata.create_all)

    async def check_identity(self, fold_version: int, cluster_id: str, topic_id: str) -> None:
        given = {"fold version": str(fold_version), "cluster id": cluster_id, "topic id": topic_id}
        async with self.writing() as connection:
            for name, value in given.items():
                await connection.execute(insert_once(connection.dialect, meta, {"name": name, "value": value}))
            stored = {row.name: row.value for row in await connection.execute(select(meta))}
        for name, value in given.items():
            if stored[name] != value:
                raise ReadModelMismatchError(
                    f"the read model was folded with the {name} {stored[name]}, this is {value}: run `python -m services.projector rebuild`"
                )

    async def next_offsets(self) -> dict[int, int]:
        offsets = self._tables.offsets
        async with reading(self._database) as connection:
            rows = await connection.execute(select(offsets.c.partition, offsets.c.next_offset))
            return {row.partition: row.next_offset for row in rows}

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Sequence[EventRecord]) -> Applied | Fenced:
        async with self.writing() as connection:
            stored, last_event_at = await self._stored_offset(connection, partition)
            if stored != start_offset:
                return Fenced(stored)
            changed = await self._fold(connection, partition, records)
            if records:
                last_event_at = max(last_event_at or "", *(record["time"] for record in records), "")
                await self._forget(connection, partition, last_event_at)
            await self._move_offset(connection, partition, next_offset, last_event_at)
        return Applied(next_offset, changed)

    async def _stored_offset(self, connection: AsyncConnection, partition: int) -> tuple[int, str | None]:
        offsets = self._tables.offsets
        query = select(offsets.c.next_offset, offsets.c.last_event_at).where(offsets.c.partition == partition)
        row = (await connection.execute(query.with_for_update())).first()
        if row is None:
            await connection.execute(insert_once(connection.dialect, offsets, {"partition": partition, "next_offset": 0}))
            row = (await connection.execute(query.with_for_update())).one()
        return row[0], row[1]

    async def _fold(self, connection: AsyncConnection, partition: int, records: Sequence[EventRecord]) -> int:
        campaign_ids, call_ids = touched(records)
        progress = Progress(
            partition,
            await read_campaigns(connection, self._tables, campaign_ids),
            await read_calls(connection, self._tables, call_ids),
        )
        known = await read_handled(connection, self._tables, named_commands(records))
        handled = {}
        for record in records:
            progress.fold(record)
            row = fold_handled(known, record, partition)
            if row is not None:
                handled[row.org_id, row.command_id] = row
        progress.settle()
        await self._writing.write_progress(connection, progress)
        await self._writing.write_handled(connection, handled.values())
        changed = progress.changed_campaigns.values()
        if self._publishes:
            shown = [{"campaign_id": c.id, "partition": partition, "version": c.version} for c in changed if c.shown]
            await self._writing.write_outbox(connection, shown)
        return len(changed)

    async def _forget(self, connection: AsyncConnection, partition: int, at: str) -> None:
        table = self._tables.handled_commands
        old = (table.c.partition == partition, table.c.first_at < forgotten_before(at))
        await connection.execute(delete(table).where(*old))

    async def _move_offset(self, connection: AsyncConnection, partition: int, next_offset: int, last_event_at: str | None) -> None:
        offsets = self._tables.offsets
        await connection.execute(
            offsets.update().where(offsets.c.partition == partition).values(next_offset=next_offset, last_event_at=last_event_at)
        )

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        async with reading(self._database) as connection:
            return await read_snapshot(connection, self._tables, partition)

    async def dial_tasks(self, call_ids: Iterable[str]) -> dict[str, DialTask]:
        async with reading(self._database) as connection:
            return await read_dial_tasks(connection, self._tables, list(call_ids))
