"""Owns GET of calls by themselves (contract, "Calls by themselves")."""

from aiohttp import web

from events.ids import is_uuid
from projections.queries.calls import call_characters
from services.api.answers import call_by_itself, campaign_ids
from services.api.context import ORG, context_of
from services.api.errors import InvalidRequestError, NotFoundError
from services.api.pages import page_response
from services.api.query_parameters import MAX_LIMIT, Parameters
from services.api.responding import json_response


async def list_calls(request: web.Request) -> web.StreamResponse:
    parameters = Parameters(request.query)
    campaign_id = parameters.text("campaignId")
    limit = parameters.whole_number("limit", 100, MAX_LIMIT)
    parameters.check()
    if campaign_id is None:
        raise InvalidRequestError(["campaignId is required"])
    context = context_of(request)
    async with context.pages:
        calls = await context.read_model.newest_calls(request[ORG], campaign_id, limit) if is_uuid(campaign_id) else None
        if calls is None:
            raise NotFoundError(f"campaign {campaign_id} does not exist")
        ids = campaign_ids(calls[0].campaign) if calls else {}
        return await page_response(calls, lambda detail: call_characters(detail.call), lambda detail: call_by_itself(detail, ids), list)


async def get_call(request: web.Request) -> web.StreamResponse:
    call_id = request.match_info["id"]
    detail = await context_of(request).read_model.call(request[ORG], call_id) if is_uuid(call_id) else None
    if detail is None:
        raise NotFoundError(f"call {call_id} does not exist")
    return json_response(call_by_itself(detail, campaign_ids(detail.campaign)))
