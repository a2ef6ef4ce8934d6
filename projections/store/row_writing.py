"""Owns the statements that write a batch's rows: each changed row once, as positional tuples given straight to the driver."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Table, delete
from sqlalchemy.ext.asyncio import AsyncConnection

from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CALL_COLUMNS, CALL_STATE_COLUMNS, CAMPAIGN_COLUMNS, ContactRow
from projections.handled_commands.fold import HandledRow
from projections.store.tables import Tables, outbox

_HANDLED_COLUMNS = ("org_id", "command_id", "partition", "campaign_id", "first_type", "first_at", "rejection")
_OUTBOX_COLUMNS = ("campaign_id", "partition", "version")
_campaign_values = attrgetter(*CAMPAIGN_COLUMNS)
_call_state = attrgetter(*CALL_STATE_COLUMNS)
_handled_values = attrgetter(*_HANDLED_COLUMNS)


async def write_progress(connection: AsyncConnection, tables: Tables, progress: Progress) -> None:
    """Write what the batch changed; `progress` is settled."""
    calls = tables.calls
    for campaign_id, first_position in progress.dropped.items():
        await connection.execute(
            delete(calls).where(calls.c.campaign_id == campaign_id, calls.c.position < first_position)
        )
    new = [(*contact, *_call_state(progress.calls[call_id])) for call_id, contact in progress.contacts.items()]
    await _many(connection, _insert(connection, calls, (*ContactRow._fields, *CALL_STATE_COLUMNS)), new)
    changed = [
        (*_call_state(call), call_id) for call_id, call in progress.changed.items() if call_id not in progress.contacts
    ]
    await _many(connection, _update(connection, calls, CALL_STATE_COLUMNS, "id"), changed)
    rows = [_campaign_values(campaign) for _, campaign in sorted(progress.changed_campaigns.items())]
    await _many(connection, _upsert(connection, tables.campaigns, CAMPAIGN_COLUMNS, ("id",)), rows)


async def write_handled(connection: AsyncConnection, tables: Tables, rows: Iterable[HandledRow]) -> None:
    """Remember the rows; one of the same command, which is forgotten by now, is replaced."""
    statement = _upsert(connection, tables.handled_commands, _HANDLED_COLUMNS, ("org_id", "command_id"))
    await _many(connection, statement, [_handled_values(row) for row in rows])


async def write_outbox(connection: AsyncConnection, partition: int, versions: Iterable[tuple[str, int]]) -> None:
    """Ask for the campaigns' summaries to be published; sorted, so that two transactions never wait for each other in a circle."""
    rows = [(campaign_id, partition, version) for campaign_id, version in sorted(versions)]
    await _many(connection, _upsert(connection, outbox, _OUTBOX_COLUMNS, ("campaign_id",)), rows)


async def _many(connection: AsyncConnection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        await connection.exec_driver_sql(statement, list(rows))


def _marks(connection: AsyncConnection, count: int) -> list[str]:
    if connection.dialect.name == "sqlite":
        return ["?"] * count
    return [f"${number}" for number in range(1, count + 1)]


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _insert(connection: AsyncConnection, table: Table, columns: Sequence[str]) -> str:
    return f'INSERT INTO "{table.name}" ({_names(columns)}) VALUES ({", ".join(_marks(connection, len(columns)))})'


def _upsert(connection: AsyncConnection, table: Table, columns: Sequence[str], key: Sequence[str]) -> str:
    moved = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in key)
    return f"{_insert(connection, table, columns)} ON CONFLICT ({_names(key)}) DO UPDATE SET {moved}"


def _update(connection: AsyncConnection, table: Table, columns: Sequence[str], key: str) -> str:
    marks = _marks(connection, len(columns) + 1)
    moved = ", ".join(f'"{column}" = {mark}' for column, mark in zip(columns, marks, strict=False))
    return f'UPDATE "{table.name}" SET {moved} WHERE "{key}" = {marks[-1]}'
