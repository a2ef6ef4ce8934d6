"""Owns POST, PATCH and DELETE of campaigns, for both generations."""

import hashlib
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from services.api.answered_writes import begin, beside_if_large, by_plan, campaign_id_in, hash_of, tell, whole_campaign, write
from services.api.bodies import parse_json, require_json
from services.api.campaign_copies import begin_copy
from services.api.context import context_of
from services.api.generations import Generation
from services.api.plans import Asked, Plan, plan_change, plan_creation
from services.api.repeats import Joined
from services.api.upload_writes import create_with_upload
from services.api.writing import Accepted, Refused

_NO_BODY = hashlib.sha256(b"").hexdigest()


async def create_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    if request.content_type == "multipart/form-data":
        return await create_with_upload(generation, request)
    require_json(request)
    async with AsyncExitStack() as stack:
        part = await _begin_creation(generation, request, stack)
        return await tell(request, part, partial(whole_campaign, request, status=201))


async def _begin_creation(generation: Generation, request: web.Request, stack: AsyncExitStack) -> Joined[Accepted | Refused]:
    """When this returns, the body's room and all that was made of it are free."""
    async with context_of(request).bodies.read(request) as body:
        value = await beside_if_large(body, lambda: parse_json(body))
        copy = await beside_if_large(body, lambda: generation.copy(value))
        if copy is not None:
            return await begin_copy(request, body, copy, stack)
        draft = await beside_if_large(body, lambda: generation.draft(value))
        return await begin(request, await hash_of(body), by_plan(request, lambda asked: plan_creation(asked, draft)), stack)


async def update_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    campaign_id = campaign_id_in(request)
    require_json(request)
    async with AsyncExitStack() as stack:
        part = await _begin_update(generation, request, campaign_id, stack)
        return await tell(request, part, partial(whole_campaign, request))


async def _begin_update(
    generation: Generation, request: web.Request, campaign_id: str, stack: AsyncExitStack
) -> Joined[Accepted | Refused]:
    async with context_of(request).bodies.read(request) as body:
        edit = await beside_if_large(body, lambda: generation.edit(parse_json(body)))
        return await begin(request, await hash_of(body), by_plan(request, lambda asked: plan_change(asked, campaign_id, edit)), stack)


async def delete_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    campaign_id = campaign_id_in(request)

    def plans(asked: Asked) -> Plan:
        return plan_change(asked, campaign_id, generation.remove(), generation.removal_completes)

    return await write(request, _NO_BODY, plans, partial(whole_campaign, request, shown_status=generation.removed_status))
