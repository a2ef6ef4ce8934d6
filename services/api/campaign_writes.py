"""Owns POST, PATCH and DELETE of campaigns, for both generations."""

from aiohttp import web

from services.api.answered_writes import beside_if_large, campaign_id_in, write_body
from services.api.bodies import parse_json, require_json
from services.api.campaign_copies import create_copy
from services.api.context import context_of
from services.api.generations import Generation
from services.api.plans import Asked, Plan, plan_change, plan_creation
from services.api.upload_writes import create_with_upload


async def create_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    if request.content_type == "multipart/form-data":
        return await create_with_upload(generation, request)
    require_json(request)
    async with context_of(request).bodies.read(request) as body:
        value = await beside_if_large(body, lambda: parse_json(body))
        copy = await beside_if_large(body, lambda: generation.copy(value))
        if copy is not None:
            return await create_copy(request, body, copy)
        draft = await beside_if_large(body, lambda: generation.draft(value))
        return await write_body(request, body, lambda asked: plan_creation(asked, draft), status=201)


async def update_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    campaign_id = campaign_id_in(request)
    require_json(request)
    async with context_of(request).bodies.read(request) as body:
        edit = await beside_if_large(body, lambda: generation.edit(parse_json(body)))
        return await write_body(request, body, lambda asked: plan_change(asked, campaign_id, edit))


async def delete_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    campaign_id = campaign_id_in(request)

    def plans(asked: Asked) -> Plan:
        return plan_change(asked, campaign_id, generation.remove(), generation.removal_completes)

    return await write_body(request, b"", plans, shown_status=generation.removed_status)
