"""Owns long lists to read: many campaigns of one org, and a campaign of as many contacts, written as rows."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection, insert

from events.instants import iso
from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CallRow, CampaignRow, ContactRow
from projections.store.sql_store import SqlProjectionStore
from projections.store.tables import calls, campaigns, offsets
from tests.engine.given import World
from tests.projections.given import records

_BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
_CHUNK = 5_000
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
    for start in range(0, count, _CHUNK):
        numbers = range(start, min(count, start + _CHUNK))
        rows = [replace(campaign, id=str(uuid5(NAMESPACE_OID, str(n))), created_at=iso(_BEGAN + timedelta(seconds=n))) for n in numbers]
        connection.execute(insert(campaigns), [asdict(row) for row in rows])
        views = []
        for n in numbers:
            ended = {"status": "ended", "contact_status": "contact.completed"}
            state = ended if n % 3 == 0 else {"status": "scheduled", "contact_status": "contact.pending"}
            own = {"id": str(uuid5(NAMESPACE_OID, f"call-{n}")), "campaign_id": MANY_CONTACTS, "position": n}
            views.append(asdict(call) | contact._asdict() | state | own)
        connection.execute(insert(calls), views)
    ended_count = -(-count // 3)
    many = replace(
        campaign, id=MANY_CONTACTS, total=count, calls_ended=ended_count, calls_scheduled=count - ended_count,
        contacts_completed=ended_count, contacts_pending=count - ended_count, contacts_dispatched=0,
        calls_queued=0, calls_in_progress=0,
    )  # fmt: skip
    connection.execute(insert(campaigns), [asdict(many)])
    connection.execute(insert(offsets), [{"partition": _NOBODYS_PARTITION, "next_offset": 1}])
