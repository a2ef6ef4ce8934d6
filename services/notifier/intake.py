"""Owns taking events in: what they teach, the messages that they make and the place in the log move in one transaction.

So every event makes its messages once, whatever is killed when, and replaying the log makes none.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.envelope import EventRecord
from events.instants import iso
from projections.store.engine import writing
from services.notifier.messages import Known, KnownCall, KnownCampaign, WebhookMessage, message_of
from services.notifier.own_store import calls, campaigns, outbox, places
from services.runtime.url_guard import server_of


class PlaceLostError(Exception):
    """Another process took these events in. Retriable, from the place in the store."""


class Intake:
    """The half of the store that follows the log. Several processes may share it: a place moves only from where it is."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def place(self, partition: int, now: datetime, window_seconds: float) -> int:
        """The offset to read on from. A partition that is new here begins at 0 and tells only what is younger than the window.

        It is written to be found: from a store that is full or takes no writes the same webhooks would be sent at every start.
        """
        as_it_is = update(places).where(places.c.partition == partition).values(next_offset=places.c.next_offset)
        async with writing(self._database) as connection:
            found = (await connection.execute(as_it_is.returning(places.c.next_offset))).scalar()
            if found is not None:
                return int(found)
            tell_from = iso(now - timedelta(seconds=window_seconds))
            await connection.execute(insert(places).values(partition=partition, next_offset=0, tell_from=tell_from))
        return 0

    async def take_in(
        self, partition: int, first_offset: int, next_offset: int, events: Sequence[EventRecord], now: datetime
    ) -> list[WebhookMessage]:
        """Take in the events from `first_offset` up to `next_offset`; the messages that were put in the outbox.

        Raises `PlaceLostError`, having changed nothing, where the place is not `first_offset`.
        """
        async with writing(self._database) as connection:
            moved = await connection.execute(
                update(places)
                .where(places.c.partition == partition, places.c.next_offset == first_offset)
                .values(next_offset=next_offset)
                .returning(places.c.tell_from)
            )
            tell_from = moved.scalar()
            if tell_from is None:
                raise PlaceLostError(f"partition {partition} is not at offset {first_offset}")
            known = await _known(connection, events)
            told = []
            for event in events:
                message = message_of(known, event)
                if message is not None and event["time"] >= tell_from:
                    told.append(message)
            await _keep(connection, known)
            if told:
                await connection.execute(insert(outbox), [_row(partition, message, known, now) for message in told])
            return told


async def _known(connection: AsyncConnection, events: Sequence[EventRecord]) -> Known:
    known = Known()
    for row in await _rows(connection, campaigns, {event.get("subject") for event in events}):
        names = frozenset(orjson.loads(row.names))
        known.campaigns[row.id] = KnownCampaign(row.id, row.org_id, orjson.loads(row.server), names, row.announced, row.sequence)
    if known.campaigns or any(event["type"] == "CampaignCreated.v1" for event in events):
        for row in await _rows(connection, calls, {event.get("callid") for event in events}):
            known.calls[row.id] = KnownCall(row.id, row.campaign_id, row.in_progress, row.decided)
    return known


async def _rows(connection: AsyncConnection, table: Table, ids: Iterable[str | None]) -> Sequence[Any]:
    wanted = [id for id in ids if id is not None]
    return (await connection.execute(select(table).where(table.c.id.in_(wanted)))).all() if wanted else []


async def _keep(connection: AsyncConnection, known: Known) -> None:
    kept_campaigns = [
        {
            "id": campaign.id,
            "org_id": campaign.org_id,
            "server": orjson.dumps(campaign.server).decode(),
            "names": orjson.dumps(sorted(campaign.names)).decode(),
            "announced": campaign.announced,
            "sequence": campaign.sequence,
        }
        for campaign in (known.campaigns[id] for id in sorted(known.changed_campaigns))
    ]
    kept_calls = [
        {"id": call.id, "campaign_id": call.campaign_id, "in_progress": call.in_progress, "decided": call.decided}
        for call in (known.calls[id] for id in sorted(known.changed_calls) if id in known.calls)
    ]
    for table, changed, kept in ((campaigns, known.changed_campaigns, kept_campaigns), (calls, known.changed_calls, kept_calls)):
        if changed:
            await connection.execute(delete(table).where(table.c.id.in_(sorted(changed))))
        if kept:
            await connection.execute(insert(table), kept)


def _row(partition: int, message: WebhookMessage, known: Known, now: datetime) -> dict[str, Any]:
    return {
        "id": message.id,
        "partition": partition,
        "receiver": receiver_of(message.org_id, known.campaigns[message.campaign_id].server["url"]),
        "org_id": message.org_id,
        "campaign_id": message.campaign_id,
        "sequence": message.sequence,
        "name": message.name,
        "body": message.body,
        "enqueued_at": now.timestamp(),
        "failures": 0,
        "next_at": now.timestamp(),
        "dead": False,
    }


def receiver_of(org_id: str, url: str) -> str:
    """Who is held up together: one host of one org; an org's host never holds up another org's."""
    return f"{org_id} {server_of(url)}"


def org_of(receiver: str) -> str:
    """Whose receiver it is; no id of an org holds a space."""
    return receiver.partition(" ")[0]
