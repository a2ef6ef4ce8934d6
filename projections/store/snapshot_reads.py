"""Owns the reads that make the engine's snapshot of one partition; the caller opens the one transaction they share."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from events.instants import parse_instant
from projections.campaign_progress.rows import CallRow, CampaignRow
from projections.engine_snapshot.snapshot import CallSnapshot, CampaignSnapshot, EngineSnapshot, HandledCommand
from projections.store.tables import ACTIVE_CALL, AWAITED_REPORT, Tables


async def read_snapshot(connection: AsyncConnection, tables: Tables, partition: int) -> EngineSnapshot:
    offsets = tables.offsets
    stored = (await connection.execute(select(offsets).where(offsets.c.partition == partition))).first()
    last_event_at = stored.last_event_at if stored is not None else None
    return EngineSnapshot(
        next_offset=stored.next_offset if stored is not None else 0,
        last_event_at=_instant(last_event_at),
        campaigns=await _campaigns(connection, tables, partition),
        active_calls=await _calls(connection, tables, partition, last_event_at or ""),
        handled=await _handled(connection, tables, partition),
    )


def _instant(value: str | None) -> datetime | None:
    return None if value is None else parse_instant(value)


async def _campaigns(connection: AsyncConnection, tables: Tables, partition: int) -> list[CampaignSnapshot]:
    table = tables.campaigns
    query = select(table).where(table.c.partition == partition).order_by(table.c.created_at, table.c.id)
    return [campaign_snapshot(row) for row in await connection.execute(query)]


def campaign_snapshot(row: Row[Any] | CampaignRow) -> CampaignSnapshot:
    spec = orjson.loads(row.spec)
    plan = spec.get("schedulePlan", {})
    return CampaignSnapshot(
        campaign_id=row.id,
        org_id=row.org_id,
        status=row.status,
        paused=row.paused,
        deleted=row.deleted,
        complete=row.complete,
        has_dial_plan=row.has_dial_plan,
        parts=row.parts,
        parts_received=row.parts_received,
        contacts_due_at=_instant(row.contacts_due_at),
        earliest_at=_instant(plan.get("earliestAt")),
        latest_at=_instant(plan.get("latestAt")),
        max_concurrency=spec["maxConcurrency"],
        first_position=row.first_position,
        total=row.total,
        scheduled=row.calls_scheduled,
        retry_until=_instant(row.retry_until),
        created_at=parse_instant(row.created_at),
    )


async def _calls(connection: AsyncConnection, tables: Tables, partition: int, now: str) -> list[CallSnapshot]:
    table = tables.calls
    active = select(table).where(table.c.partition == partition, text(ACTIVE_CALL))
    awaited = select(table).where(
        table.c.partition == partition, text(AWAITED_REPORT), table.c.report_due_at > now, table.c.status == "ended"
    )
    rows = [*await connection.execute(active), *await connection.execute(awaited)]
    return [call_snapshot(row) for row in sorted(rows, key=lambda row: (row.campaign_id, row.position))]


def call_snapshot(row: Row[Any] | CallRow) -> CallSnapshot:
    return CallSnapshot(
        call_id=row.id,
        campaign_id=row.campaign_id,
        status=row.status,
        attempt=row.attempt,
        claim_id=row.claim_id,
        provider=row.provider,
        placed=row.placed,
        outcome_unknown=row.outcome_unknown,
        outcome_due_at=_instant(row.outcome_due_at),
        ends_by=_instant(row.ends_by),
        started_at=_instant(row.started_at),
        report_due_at=_instant(row.report_due_at),
    )


async def _handled(connection: AsyncConnection, tables: Tables, partition: int) -> list[HandledCommand]:
    table = tables.handled_commands
    query = select(table).where(table.c.partition == partition).order_by(table.c.first_at, table.c.org_id, table.c.command_id)
    return [
        HandledCommand(row.org_id, row.command_id, row.campaign_id, row.first_type, parse_instant(row.first_at), row.request_hash)
        for row in await connection.execute(query)
    ]
