"""Owns the read model in SQL: `ProjectionStore` on SQLite or PostgreSQL through SQLAlchemy Core."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import attrgetter

from sqlalchemy import Connection, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.campaign_progress.fold import Progress, touched
from projections.dial_task.task import DialTask
from projections.engine_snapshot.snapshot import EngineSnapshot
from projections.handled_commands.fold import HandledRow, answers_to_users, fold_handled, forgotten_before, named_commands
from projections.reading import AT_A_TIME, LogEvent
from projections.store.dial_reads import read_dial_tasks
from projections.store.engine import reading
from projections.store.hot_rows import HotRows
from projections.store.identity import identity_of, remember, require
from projections.store.port import Applied, Fenced
from projections.store.row_reading import read_calls, read_campaigns, read_handled
from projections.store.row_writing import RowWriting, StoredOffset, insert_once
from projections.store.snapshot_reads import read_snapshot
from projections.store.tables import LIVE, Tables, bookkeeping
from projections.store.writer import Writer

_SCHEMA_LOCK = 7_216_490_235
"""The PostgreSQL advisory lock under which the schema is made; the number means nothing."""

_time_of = attrgetter("time")


class SqlProjectionStore:
    """A `ProjectionStore`. The database's own exceptions come through as SQLAlchemy raises them.

    `publishes`: whether changed campaigns go to the outbox; a rebuild's tables do not. Who writes must `close`.
    """

    def __init__(self, database: AsyncEngine, tables: Tables = LIVE, *, publishes: bool = True) -> None:
        self.database = database
        self.writer = Writer(database)
        self._tables = tables
        self._publishes = publishes
        self._writing = RowWriting(tables, database.dialect)
        self._hot: dict[int, HotRows] = {}
        self._identity: Mapping[str, str] = {}

    async def close(self) -> None:
        """Wait for the write under way; the database stays open."""
        await self.writer.close()

    async def ensure_schema(self) -> None:
        await self.writer.run(self._ensure_schema)

    def _ensure_schema(self, connection: Connection) -> None:
        if connection.dialect.name != "sqlite":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
        bookkeeping.create_all(connection)
        self._tables.metadata.create_all(connection)

    async def check_identity(self, fold_version: int, cluster_id: str, topic_id: str, partitions: int) -> None:
        self._identity = identity_of(fold_version, cluster_id, topic_id, partitions)
        await self.writer.run(partial(remember, given=self._identity))

    async def require_identity(self, fold_version: int, cluster_id: str, topic_id: str, partitions: int) -> None:
        """Raises `ReadModelMismatchError` where the rows are known to be those of another fold or log. Remembers nothing."""
        await self.writer.run(partial(require, given=identity_of(fold_version, cluster_id, topic_id, partitions)))

    async def next_offsets(self) -> dict[int, int]:
        offsets = self._tables.offsets
        async with reading(self.database) as connection:
            rows = await connection.execute(select(offsets.c.partition, offsets.c.next_offset))
            return {row.partition: row.next_offset for row in rows}

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
        hot = self._hot.pop(partition, None)
        outcome, hot = await self.writer.run(
            partial(self._apply, partition=partition, start_offset=start_offset, next_offset=next_offset, records=records, hot=hot)
        )
        if hot is not None:
            self._hot[partition] = hot
        return outcome

    def _apply(
        self, connection: Connection, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent], hot: HotRows | None
    ) -> tuple[Applied | Fenced, HotRows | None]:
        """What became of the batch, and where it is in the rows those to keep once it is committed."""
        stored, last_event_at, generation = self._stored_offset(connection, partition)
        if stored != start_offset:
            return Fenced(stored), None
        if hot is None or (hot.next_offset, hot.generation) != (start_offset, generation):
            # only a rebuild puts rows of another identity here, and none does before this transaction ends
            require(connection, self._identity)
            hot = HotRows(start_offset, generation)
        changed, newest = self._fold(connection, partition, records, hot)
        if newest:
            last_event_at = max(last_event_at or "", newest)
            self._writing.forget_handled(connection, partition, forgotten_before(last_event_at))
        hot.next_offset = next_offset
        self._writing.move_offset(connection, partition, next_offset, last_event_at)
        return Applied(next_offset, changed), hot

    def _stored_offset(self, connection: Connection, partition: int) -> StoredOffset:
        row = self._writing.stored_offset(connection, partition)
        if row is None:
            connection.execute(insert_once(connection.dialect, self._tables.offsets, {"partition": partition, "next_offset": 0}))
            row = self._writing.stored_offset(connection, partition)
        return row or StoredOffset(0, None, None)

    def _fold(self, connection: Connection, partition: int, records: Iterable[LogEvent], hot: HotRows) -> tuple[int, str]:
        """How many campaigns changed, and the newest event's time, empty where there was none."""
        progress = Progress(partition, hot.campaigns, hot.calls)
        known: dict[tuple[str, str], HandledRow] = {}
        handled, newest, remaining = {}, "", iter(records)
        while events := list(islice(remaining, AT_A_TIME)):
            answers = answers_to_users(events)
            self._read_rows(connection, events, hot, progress.dropped)
            known |= read_handled(connection, self._tables, [key for key in named_commands(answers) if key not in known])
            progress.fold(*events)
            for event in answers:
                row = fold_handled(known, event, partition)
                if row is not None:
                    handled[row.org_id, row.command_id] = row
            newest = max(newest, max(map(_time_of, events)))
            # so that the next ones are made in the same memory, which is in the cache
            events.clear()
        progress.settle()
        self._writing.write_progress(connection, progress)
        self._writing.write_handled(connection, handled.values())
        changed = progress.changed_campaigns.values()
        if self._publishes:
            shown = [{"campaign_id": c.id, "partition": partition, "version": c.version} for c in changed if c.shown]
            self._writing.write_outbox(connection, shown)
        hot.keep(progress)
        return len(changed), newest

    def _read_rows(self, connection: Connection, events: Sequence[LogEvent], hot: HotRows, dropped: Mapping[str, int]) -> None:
        """Add to `hot` what it lacks of the rows that the events may touch, but for calls that the batch drops, which are deleted last."""
        campaign_ids, call_ids = touched(events, hot.campaigns, hot.calls)
        hot.campaigns |= read_campaigns(connection, self._tables, campaign_ids)
        calls = read_calls(connection, self._tables, call_ids)
        hot.read({id: call for id, call in calls.items() if call.campaign_id not in dropped})

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        async with reading(self.database) as connection:
            return await read_snapshot(connection, self._tables, partition)

    async def dial_tasks(self, call_ids: Iterable[str]) -> dict[str, DialTask]:
        async with reading(self.database) as connection:
            return await read_dial_tasks(connection, self._tables, list(call_ids))
