"""Owns the reads that make the engine's snapshot of one partition; the caller opens the one transaction they share.

What a user may make large is not read, but for a campaign's `spec`, and of those few are held at once: a partition may keep gigabytes of
them, of campaigns that ended long ago.
"""

from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, case, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from events.instants import parse_instant
from projections.campaign_progress.rows import CallRow, CampaignRow
from projections.engine_snapshot.snapshot import CallSnapshot, CampaignSnapshot, EngineSnapshot, HandledCommand
from projections.store.row_reading import chunks
from projections.store.tables import ACTIVE_CALL, AWAITED_REPORT, Tables

_CAMPAIGNS_AT_ONCE = 500
_SMALL_SPEC = 8_192
"""In characters: up to this a spec comes with its campaign."""
_LARGE_SPECS_AT_ONCE = 4
_CAMPAIGN_COLUMNS = (
    "id",
    "org_id",
    "status",
    "paused",
    "deleted",
    "complete",
    "has_dial_plan",
    "parts",
    "parts_received",
    "contacts_due_at",
    "first_position",
    "total",
    "calls_scheduled",
    "retry_until",
    "created_at",
)
_CALL_COLUMNS = (
    "id",
    "campaign_id",
    "position",
    "status",
    "attempt",
    "claim_id",
    "provider",
    "placed",
    "outcome_unknown",
    "outcome_due_at",
    "ends_by",
    "started_at",
    "report_due_at",
)
_HANDLED_COLUMNS = ("org_id", "command_id", "campaign_id", "first_type", "first_at", "request_hash")


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
    table, found = tables.campaigns, list[CampaignSnapshot]()
    # not by the databases' JSON functions: PostgreSQL's fail on a text that holds NUL, which a spec may
    small = case((func.length(table.c.spec) <= _SMALL_SPEC, table.c.spec)).label("spec")
    columns: list[Any] = [*(table.c[name] for name in _CAMPAIGN_COLUMNS), small]
    some = select(*columns).where(table.c.partition == partition).order_by(table.c.created_at, table.c.id).limit(_CAMPAIGNS_AT_ONCE)
    rows = (await connection.execute(some)).all()
    while rows:
        large = await _large_plans(connection, tables, [row.id for row in rows if row.spec is None])
        found += [campaign_snapshot(row, large.get(row.id) or plan_of(row.spec)) for row in rows]
        after = tuple_(table.c.created_at, table.c.id) > (rows[-1].created_at, rows[-1].id)
        rows = (await connection.execute(some.where(after))).all() if len(rows) == _CAMPAIGNS_AT_ONCE else []
    return found


async def _large_plans(connection: AsyncConnection, tables: Tables, ids: list[str]) -> dict[str, "Plan"]:
    table, found = tables.campaigns, dict[str, Plan]()
    for some in chunks(ids, _LARGE_SPECS_AT_ONCE):
        query = select(table.c.id, table.c.spec).where(table.c.id.in_(some))
        found |= {row.id: plan_of(row.spec) for row in await connection.execute(query)}
    return found


class Plan(NamedTuple):
    """What the engine knows of a spec."""

    max_concurrency: int
    earliest_at: datetime | None
    latest_at: datetime | None


def plan_of(spec_json: str) -> Plan:
    spec = orjson.loads(spec_json)
    schedule = spec.get("schedulePlan", {})
    return Plan(spec["maxConcurrency"], _instant(schedule.get("earliestAt")), _instant(schedule.get("latestAt")))


def campaign_snapshot(row: Row[Any] | CampaignRow, plan: Plan) -> CampaignSnapshot:
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
        earliest_at=plan.earliest_at,
        latest_at=plan.latest_at,
        max_concurrency=plan.max_concurrency,
        first_position=row.first_position,
        total=row.total,
        scheduled=row.calls_scheduled,
        retry_until=_instant(row.retry_until),
        created_at=parse_instant(row.created_at),
    )


async def _calls(connection: AsyncConnection, tables: Tables, partition: int, now: str) -> list[CallSnapshot]:
    table = tables.calls
    some = select(*(table.c[name] for name in _CALL_COLUMNS))
    active = some.where(table.c.partition == partition, text(ACTIVE_CALL))
    awaited = some.where(table.c.partition == partition, text(AWAITED_REPORT), table.c.report_due_at > now, table.c.status == "ended")
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
    some = select(*(table.c[name] for name in _HANDLED_COLUMNS))
    query = some.where(table.c.partition == partition).order_by(table.c.first_at, table.c.org_id, table.c.command_id)
    return [
        HandledCommand(row.org_id, row.command_id, row.campaign_id, row.first_type, parse_instant(row.first_at), row.request_hash)
        for row in await connection.execute(query)
    ]
