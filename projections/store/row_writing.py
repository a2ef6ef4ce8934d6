"""Owns the statements that write a batch's rows: each changed row once, as positional tuples given straight to the driver."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    CursorResult,
    Delete,
    Dialect,
    Executable,
    Table,
    bindparam,
    delete,
    false,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CALL_STATE_COLUMNS, ContactRow
from projections.handled_commands.fold import HandledRow
from projections.store.tables import GENERATION, Tables, meta, outbox

_KEY = "key_id"
_state_of = attrgetter(*CALL_STATE_COLUMNS)


@dataclass(frozen=True, slots=True)
class BulkStatement:
    """A statement in the driver's own words, and the names of its parameters in order."""

    sql: str
    parameters: tuple[str, ...]

    def values_of(self) -> Callable[[Any], Any]:
        return attrgetter(*self.parameters)

    def run(self, connection: Connection, rows: Sequence[Any]) -> None:
        """Once for each tuple of values; nothing where there are none."""
        if rows:
            connection.exec_driver_sql(self.sql, list(rows))

    def run_once(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """With the values by name. To build and compile a statement takes as long as three that are run so."""
        return connection.exec_driver_sql(self.sql, tuple([values[name] for name in self.parameters]))


class StoredOffset(NamedTuple):
    """How far a partition is folded, and in which generation of the tables; `None` is the first."""

    next_offset: int
    last_event_at: str | None
    generation: str | None


class RowWriting:
    """Writes the rows of one generation of the tables, on one kind of database."""

    def __init__(self, tables: Tables, dialect: Dialect) -> None:
        self._tables = tables
        calls, handled = tables.calls, tables.handled_commands
        self._new_call = _compile(_insert(dialect, calls), dialect, calls.columns.keys())
        self._pending_call = _compile(_pending(_insert(dialect, calls)), dialect)
        changed = update(calls).where(calls.c.id == bindparam(_KEY)).values({c: bindparam(c) for c in CALL_STATE_COLUMNS})
        self._changed_call = _compile(changed, dialect)
        self._campaign = upsert(tables.campaigns, dialect)
        self._handled = upsert(tables.handled_commands, dialect)
        self._outbox = upsert(outbox, dialect)
        self._stored_offset, self._move_offset = _offset_statements(tables, dialect)
        old = (handled.c.partition == bindparam("of"), handled.c.first_at < bindparam("before"))
        self._forget_handled = _compile(delete(handled).where(*old), dialect)
        self._campaign_values = self._campaign.values_of()
        self._handled_values = self._handled.values_of()
        self._change_values = attrgetter(*("id" if name == _KEY else name for name in self._changed_call.parameters))

    def write_progress(self, connection: Connection, progress: Progress) -> None:
        """Write what the batch changed; `progress` is settled."""
        for campaign_id, first_position in progress.dropped.items():
            connection.execute(self._drop(campaign_id, first_position))
        self._write_new_calls(connection, progress)
        contacts = progress.contacts
        changed = [self._change_values(call) for call_id, call in progress.changed.items() if call_id not in contacts]
        self._changed_call.run(connection, changed)
        rows = [self._campaign_values(campaign) for _, campaign in sorted(progress.changed_campaigns.items())]
        self._campaign.run(connection, rows)

    def _write_new_calls(self, connection: Connection, progress: Progress) -> None:
        pending, begun, calls = [], [], progress.calls
        for call_id, contact in progress.contacts.items():
            call = calls[call_id]
            if call.status == "scheduled":
                pending.append((*contact, call.updated_at))
            else:
                begun.append((*contact, *_state_of(call)))
        self._pending_call.run(connection, pending)
        self._new_call.run(connection, begun)

    def _drop(self, campaign_id: str, first_position: int) -> Delete:
        calls = self._tables.calls
        return delete(calls).where(calls.c.campaign_id == campaign_id, calls.c.position < first_position)

    def write_handled(self, connection: Connection, rows: Iterable[HandledRow]) -> None:
        """Remember the rows; one of the same command, which is forgotten by now, is replaced."""
        self._handled.run(connection, [self._handled_values(row) for row in rows])

    def forget_handled(self, connection: Connection, partition: int, before: str) -> None:
        self._forget_handled.run_once(connection, {"of": partition, "before": before})

    def stored_offset(self, connection: Connection, partition: int) -> StoredOffset | None:
        """The partition's next offset and newest event's time, which nobody else changes until the transaction ends; nor is it rebuilt."""
        rows: Sequence[Any] = self._stored_offset.run_once(connection, {"of": partition}).all()
        return StoredOffset(*rows[0]) if rows else None

    def move_offset(self, connection: Connection, partition: int, next_offset: int, last_event_at: str | None) -> None:
        self._move_offset.run_once(connection, {"of": partition, "next_offset": next_offset, "last_event_at": last_event_at})

    def write_outbox(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Ask for campaigns' summaries to be published; sorted, so that two transactions never wait for each other in a circle."""
        ordered = sorted(rows, key=lambda row: str(row["campaign_id"]))
        self._outbox.run(connection, [tuple(row[name] for name in self._outbox.parameters) for row in ordered])


def _offset_statements(tables: Tables, dialect: Dialect) -> tuple[BulkStatement, BulkStatement]:
    """One to read a partition's offset and keep others from it, one to move it."""
    offsets = tables.offsets
    same = offsets.c.partition == bindparam("of")
    generation = select(meta.c.value).where(meta.c.name == literal_column(f"'{GENERATION}'")).scalar_subquery()
    stored = select(offsets.c.next_offset, offsets.c.last_event_at, generation).where(same).with_for_update()
    moved = update(offsets).where(same).values({name: bindparam(name) for name in ("next_offset", "last_event_at")})
    return _compile(stored, dialect), _compile(moved, dialect)


def _pending(insert: postgresql.Insert | sqlite.Insert) -> postgresql.Insert | sqlite.Insert:
    """Of a call that was only scheduled all but the contact and `updated_at` stands in the statement: most rows begin so."""
    state = {
        "status": literal_column("'scheduled'"),
        "contact_status": literal_column("'contact.pending'"),
        "attempt": literal_column("0"),
        "placed": false(),
        "outcome_unknown": false(),
    }
    return insert.values({name: bindparam(name) for name in (*ContactRow._fields, "updated_at")} | state)


def _insert(dialect: Dialect, table: Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


def insert_once(dialect: Dialect, table: Table, values: Mapping[str, Any]) -> Executable:
    """Insert the row, or leave the one that is there."""
    return _insert(dialect, table).values(**values).on_conflict_do_nothing()


def upsert(table: Table, dialect: Dialect) -> BulkStatement:
    """Insert rows given as tuples in the order of the table's columns; one with the same key is overwritten."""
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    moved = {name: statement.excluded[name] for name in table.columns.keys() if name not in keys}  # noqa: SIM118 - no dict
    return _compile(statement.on_conflict_do_update(index_elements=keys, set_=moved), dialect, table.columns.keys())


def _compile(statement: Any, dialect: Dialect, columns: Sequence[str] | None = None) -> BulkStatement:
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=columns)
    return BulkStatement(str(compiled), tuple(compiled.positiontup or ()))
