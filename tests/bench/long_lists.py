"""Owns long lists to read: many campaigns of one org, and a campaign of as many contacts, written as rows by SQLite itself."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import CTE, ColumnElement, Connection, Table, case, func, insert, literal, select

from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CallRow, CampaignRow, ContactRow
from projections.store.sql_store import SqlProjectionStore
from projections.store.tables import calls, campaigns, offsets
from tests.engine.given import World
from tests.projections.given import records

_BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
LISTS_ORG = "lists"
_NOBODYS_PARTITION = 1_000
"""So that the stack's engine and projector let the rows be."""
MANY_CONTACTS = str(uuid5(NAMESPACE_OID, "many"))
"""The campaign with as many contacts as there are campaigns; every third has ended."""


async def fill_lists(store: SqlProjectionStore, count: int) -> None:
    campaign, contact, call = _templates(LISTS_ORG)
    await store.writer.run(lambda connection: _fill(connection, count, campaign, contact, call))


def _templates(org: str) -> tuple[CampaignRow, ContactRow, CallRow]:
    """The rows of a campaign with one contact as the fold makes them."""
    world = World()
    world.create(1, org=org)
    progress = Progress(0, {}, {})
    for record in records(world.log):
        progress.fold(record)
    progress.settle()
    (campaign,), (contact,), (call,) = progress.campaigns.values(), progress.contacts.values(), progress.calls.values()
    return replace(campaign, status="ended", partition=_NOBODYS_PARTITION), contact._replace(partition=_NOBODYS_PARTITION), call


def _fill(connection: Connection, count: int, campaign: CampaignRow, contact: ContactRow, call: CallRow) -> None:
    start = select(literal(0).label("n")).cte("numbers", recursive=True)
    numbers = start.union_all(select(start.c.n + 1).where(start.c.n + 1 < count))
    n, is_ended = numbers.c.n, numbers.c.n % 3 == 0
    # ids in no order, as UUIDs are
    row_id = func.printf("%08x-0000-5000-8000-%012x", n * 2_654_435_761 % 2**32, n)
    created_at = func.strftime("%Y-%m-%dT%H:%M:%S.000Z", n + int(_BEGAN.timestamp()), "unixepoch")
    state = {
        "status": case((is_ended, "ended"), else_="scheduled"),
        "contact_status": case((is_ended, "contact.completed"), else_="contact.pending"),
    }
    _insert_many(connection, campaigns, numbers, asdict(campaign) | {"id": row_id, "created_at": created_at})
    view = asdict(call) | contact._asdict() | {"id": row_id, "campaign_id": MANY_CONTACTS, "position": n} | state
    _insert_many(connection, calls, numbers, view)
    ended_count = -(-count // 3)
    many = replace(
        campaign, id=MANY_CONTACTS, total=count, calls_ended=ended_count, calls_scheduled=count - ended_count,
        contacts_completed=ended_count, contacts_pending=count - ended_count, contacts_dispatched=0,
        calls_queued=0, calls_in_progress=0,
    )  # fmt: skip
    connection.execute(insert(campaigns), [asdict(many)])
    connection.execute(insert(offsets), [{"partition": _NOBODYS_PARTITION, "next_offset": 1}])


def _insert_many(connection: Connection, table: Table, numbers: CTE, values: Mapping[str, Any]) -> None:
    """A row for each number, by one statement: rows handed over one by one take forty times as long."""
    names = [column.name for column in table.columns if column.name in values]
    cells = [
        value if isinstance(value, ColumnElement) else literal(value, table.c[name].type) for name in names for value in [values[name]]
    ]
    connection.execute(insert(table).from_select(names, select(*cells).select_from(numbers)))
