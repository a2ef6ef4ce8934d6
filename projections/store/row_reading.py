"""Owns the reads that bring a batch's rows into memory before it is folded; lists of ids are cut into chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TypeVar

from sqlalchemy import Connection, select, tuple_

from projections.campaign_progress.rows import CALL_COLUMNS, CAMPAIGN_COLUMNS, CallRow, CampaignRow
from projections.handled_commands.fold import HandledRow
from projections.store.tables import Tables

CHUNK = 1_000
"""Below the number of parameters that either engine takes in one statement."""


T = TypeVar("T")


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def read_campaigns(connection: Connection, tables: Tables, ids: Sequence[str]) -> dict[str, CampaignRow]:
    """By id; those that do not exist are left out."""
    table = tables.campaigns
    columns = [table.c[name] for name in CAMPAIGN_COLUMNS]
    found = {}
    for chunk in chunks(ids):
        for row in connection.execute(select(*columns).where(table.c.id.in_(chunk))):
            found[row[0]] = CampaignRow(*row)
    return found


def read_calls(connection: Connection, tables: Tables, ids: Sequence[str]) -> dict[str, CallRow]:
    """By id, without what never changes; those that do not exist are left out."""
    table = tables.calls
    columns = [table.c[name] for name in CALL_COLUMNS]
    found = {}
    for chunk in chunks(ids):
        for row in connection.execute(select(*columns).where(table.c.id.in_(chunk))):
            found[row[0]] = CallRow(*row)
    return found


def read_handled(connection: Connection, tables: Tables, commands: Sequence[tuple[str, str]]) -> dict[tuple[str, str], HandledRow]:
    """By org and command id; those that are not remembered are left out."""
    table = tables.handled_commands
    columns = [table.c[field.name] for field in fields(HandledRow)]
    found = {}
    for chunk in chunks(commands):
        key = tuple_(table.c.org_id, table.c.command_id)
        for row in connection.execute(select(*columns).where(key.in_(chunk))):
            found[row[0], row[1]] = HandledRow(*row)
    return found
