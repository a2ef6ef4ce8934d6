"""Owns GET of calls by themselves (contract, "Calls by themselves")."""

from aiohttp import web

from events.ids import is_uuid
from services.api.answers import call_by_itself
from services.api.context import ORG, context_of
from services.api.errors import InvalidRequestError, NotFoundError
from services.api.query_parameters import MAX_LIMIT, Parameters
from services.api.responding import json_response


async def list_calls(request: web.Request) -> web.StreamResponse:
    parameters = Parameters(request.query)
    campaign_id = parameters.text("campaignId")
    limit = parameters.whole_number("limit", 100, MAX_LIMIT)
    parameters.check()
    if campaign_id is None:
        raise InvalidRequestError(["campaignId is required"])
    calls = None
    if is_uuid(campaign_id):
        calls = await context_of(request).read_model.newest_calls(request[ORG], campaign_id, limit)
    if calls is None:
        raise NotFoundError(f"campaign {campaign_id} does not exist")
    return json_response([call_by_itself(detail) for detail in calls])


async def get_call(request: web.Request) -> web.StreamResponse:
    call_id = request.match_info["id"]
    detail = await context_of(request).read_model.call(request[ORG], call_id) if is_uuid(call_id) else None
    if detail is None:
        raise NotFoundError(f"call {call_id} does not exist")
    return json_response(call_by_itself(detail))
