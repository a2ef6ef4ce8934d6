"""Owns POST, PATCH and DELETE of campaigns, for both generations."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from events.ids import is_uuid
from services.api.bodies import LARGE_BODY_BYTES, parse_json, require_json
from services.api.campaign_stream import PAGE, calls_in, calls_of, campaign_chunks
from services.api.context import ORG, context_of
from services.api.errors import NotFoundError, error_response
from services.api.generations import Generation
from services.api.plans import Plan, plan_change, plan_creation
from services.api.repeats import RequestIdentity
from services.api.responding import write_chunks, write_whole
from services.api.writing import Accepted, Refused

Plans = Callable[[str], Plan]
"""A plan for a command id; raises an `ApiError` where the request is refused before anything is appended."""


async def create_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    require_json(request)
    async with context_of(request).bodies.read(request) as body:
        draft = await _beside_if_large(body, lambda: generation.draft(parse_json(body)))
        plans = partial(plan_creation, request[ORG])
        return await _write(request, body, lambda command_id: plans(command_id, draft), status=201)


async def update_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    campaign_id = _campaign_id(request)
    require_json(request)
    async with context_of(request).bodies.read(request) as body:
        edit = await _beside_if_large(body, lambda: generation.edit(parse_json(body)))
        return await _write(request, body, lambda command_id: plan_change(request[ORG], command_id, campaign_id, edit))


async def delete_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    campaign_id, org_id = _campaign_id(request), request[ORG]

    def plans(command_id: str) -> Plan:
        return plan_change(org_id, command_id, campaign_id, generation.remove(), generation.removal_completes)

    return await _write(request, b"", plans, shown_status=generation.removed_status)


async def _write(request: web.Request, body: bytes, plans: Plans, status: int = 200, shown_status: str | None = None) -> web.StreamResponse:
    context = context_of(request)
    key = request.headers.get("Idempotency-Key")
    body_hash = await _beside_if_large(body, lambda: hashlib.sha256(body).hexdigest())
    identity = RequestIdentity.of(request[ORG], request.method, request.path, body_hash, key)

    async def act(command_id: str) -> Accepted | Refused:
        plan = await _beside_if_large(body, lambda: plans(command_id))
        with context.metrics.writes_waiting.track_inprogress():
            return await context.writer.carry_out(plan)

    async with context.repeats.joined(identity, act) as joined:
        response = await _answer(request, joined.result, status, shown_status)
        await joined.answered()
    return response


async def _answer(request: web.Request, result: Accepted | Refused, status: int, shown_status: str | None) -> web.StreamResponse:
    if isinstance(result, Refused):
        return await write_whole(request, error_response(result.error.status, result.error.message))
    context = context_of(request)
    if result.folded is not None:
        row, read = result.row, calls_in(result.folded)
    else:
        found = await context.read_model.campaign_and_calls(request[ORG], result.row.id, PAGE, deleted=True)
        row, first_page = found or (result.row, [])
        read = calls_of(row, first_page, context.read_model)
    return await write_chunks(request, campaign_chunks(row, read, context.calls_as_strings, shown_status), status)


def _campaign_id(request: web.Request) -> str:
    campaign_id = request.match_info["id"]
    if not is_uuid(campaign_id):
        raise NotFoundError(f"campaign {campaign_id} does not exist")
    return campaign_id


async def _beside_if_large(body: bytes, work: Callable[[], Any]) -> Any:
    """The result of `work`, made in a thread where the body is large, so that others are answered meanwhile."""
    return await asyncio.to_thread(work) if len(body) > LARGE_BODY_BYTES else work()
