"""Owns the reads that bring a batch's rows into memory before it is folded: by many keys at once, in statements that never change."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Table

from projections.campaign_progress.rows import CALL_COLUMNS, CAMPAIGN_COLUMNS, CallRow, CampaignRow
from projections.handled_commands.fold import HandledRow
from projections.store.tables import Tables

CHUNK = 1_000
"""Below the number of parameters that either engine takes in one statement."""

_BY_ID = {"sqlite": "id IN (SELECT value FROM json_each(?))", "postgresql": "id = ANY($1::text[])"}
_BY_COMMAND = {
    "sqlite": "(org_id, command_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
    "postgresql": "(org_id, command_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
}
_HANDLED_COLUMNS = tuple(field.name for field in fields(HandledRow))
_CAMPAIGN_FLAGS = ("paused", "shown", "complete", "deleted", "has_dial_plan")
"""SQLite knows no booleans, and statements in its own words give 0 and 1."""

T = TypeVar("T")


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def read_campaigns(connection: Connection, tables: Tables, ids: Sequence[str]) -> dict[str, CampaignRow]:
    """By id; those that do not exist are left out."""
    found = {row[0]: CampaignRow(*row) for row in _by_ids(connection, tables.campaigns, CAMPAIGN_COLUMNS, ids)}
    for campaign in found.values():
        for flag in _CAMPAIGN_FLAGS:
            setattr(campaign, flag, bool(getattr(campaign, flag)))
    return found


def read_calls(connection: Connection, tables: Tables, ids: Sequence[str]) -> dict[str, CallRow]:
    """By id, without what never changes; those that do not exist are left out."""
    found = {row[0]: CallRow(*row) for row in _by_ids(connection, tables.calls, CALL_COLUMNS, ids)}
    for call in found.values():
        call.placed, call.outcome_unknown = bool(call.placed), bool(call.outcome_unknown)
    return found


def _by_ids(connection: Connection, table: Table, columns: Sequence[str], ids: Sequence[str]) -> Sequence[Any]:
    if not ids:
        return ()
    given = orjson.dumps(ids).decode() if connection.dialect.name == "sqlite" else list(ids)
    return _rows(connection, table, columns, _BY_ID, (given,))


def read_handled(connection: Connection, tables: Tables, commands: Sequence[tuple[str, str]]) -> dict[tuple[str, str], HandledRow]:
    """By org and command id; those that are not remembered are left out."""
    if not commands:
        return {}
    given: tuple[Any, ...] = tuple(map(list, zip(*commands, strict=True)))
    if connection.dialect.name == "sqlite":
        given = (orjson.dumps(commands).decode(),)
    rows = _rows(connection, tables.handled_commands, _HANDLED_COLUMNS, _BY_COMMAND, given)
    return {(row[0], row[1]): HandledRow(*row) for row in rows}


def _rows(connection: Connection, table: Table, columns: Sequence[str], where: dict[str, str], given: tuple[Any, ...]) -> Sequence[Any]:
    # all that is put together here are names of our own
    sql = f"SELECT {', '.join(columns)} FROM {table.name} WHERE {where[connection.dialect.name]}"  # noqa: S608
    return connection.exec_driver_sql(sql, given).all()
