"""Owns the reads that tell a dialer how to place calls."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from events.campaigns import TARGETS
from events.instants import parse_instant
from projections.dial_task.task import DialTask
from projections.store.row_reading import chunks
from projections.store.tables import Tables


async def read_dial_tasks(connection: AsyncConnection, tables: Tables, call_ids: Sequence[str]) -> dict[str, DialTask]:
    calls, campaigns = tables.calls, tables.campaigns
    query = select(
        calls.c.id,
        calls.c.campaign_id,
        calls.c.position,
        calls.c.customer,
        calls.c.phone_number_id,
        calls.c.status,
        calls.c.attempt,
        calls.c.claim_id,
        calls.c.created_at,
        campaigns.c.org_id,
        campaigns.c.spec,
        campaigns.c.status.label("campaign_status"),
        campaigns.c.paused,
        campaigns.c.deleted,
    ).join_from(calls, campaigns, calls.c.campaign_id == campaigns.c.id)
    specs: dict[str, dict[str, Any]] = {}
    tasks = {}
    for chunk in chunks(call_ids):
        for row in await connection.execute(query.where(calls.c.id.in_(chunk))):
            if row.campaign_id not in specs:
                specs[row.campaign_id] = orjson.loads(row.spec)
            tasks[row.id] = dial_task(row, specs[row.campaign_id])
    return tasks


def dial_task(row: Any, spec: dict[str, Any]) -> DialTask:
    """Of a call's row joined with its campaign's; `spec` is the campaign's."""
    target = next(field for field in TARGETS if field in spec)
    return DialTask(
        call_id=row.id,
        campaign_id=row.campaign_id,
        org_id=row.org_id,
        position=row.position,
        customer=orjson.loads(row.customer),
        phone_number_id=spec.get("phoneNumberId", row.phone_number_id),
        target_field=target,
        target_id=spec[target],
        assistant_overrides=spec.get("assistantOverrides"),
        squad_overrides=spec.get("squadOverrides"),
        server=spec.get("server"),
        predial_plan=spec.get("predialPlan"),
        call_status=row.status,
        attempt=row.attempt,
        claimed=row.claim_id is not None,
        campaign_status=row.campaign_status,
        paused=row.paused,
        deleted=row.deleted,
        created_at=parse_instant(row.created_at),
    )
