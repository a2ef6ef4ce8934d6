"""Owns GET of campaigns and of V2's contacts."""

from aiohttp import web

from events.ids import is_uuid
from projections.campaign_progress.rows import CampaignRow
from projections.queries.views import Page
from services.api.answered_writes import no_campaign
from services.api.answers import campaign_summary, contact, listed_campaign, page_of
from services.api.campaign_stream import PAGE, calls_of, campaign_chunks
from services.api.context import ORG, context_of
from services.api.generations import Generation
from services.api.query_parameters import Parameters, campaigns_query, contacts_query
from services.api.responding import json_response, unless_known, write_chunks


async def get_campaign(generation: Generation, request: web.Request) -> web.StreamResponse:
    context = context_of(request)
    parameters = Parameters(request.query)
    counters = parameters.flag("includeCounters") if generation.summarises else False
    parameters.check()
    campaign_id = request.match_info["id"]
    if not is_uuid(campaign_id):
        raise no_campaign(campaign_id)
    if generation.summarises:
        row = await context.read_model.campaign(request[ORG], campaign_id)
        if row is None:
            raise no_campaign(campaign_id)
        return unless_known(request, campaign_summary(row, counters))
    found = await context.read_model.campaign_and_calls(request[ORG], campaign_id, PAGE)
    if found is None:
        raise no_campaign(campaign_id)
    return await write_chunks(request, campaign_chunks(found[0], calls_of(*found, context.read_model), context.calls_as_strings))


async def list_campaigns(generation: Generation, request: web.Request) -> web.StreamResponse:
    query, counters = campaigns_query(request[ORG], request.query)
    page: Page[CampaignRow] = Page([], 0)
    if query.campaign_id is None or is_uuid(query.campaign_id):
        page = await context_of(request).read_model.campaigns(query)
    results = [campaign_summary(row, counters) if generation.summarises else listed_campaign(row) for row in page.items]
    return json_response(page_of(results, page.total, query.page, query.limit, "DESC" if query.descending else "ASC"))


async def list_contacts(request: web.Request) -> web.StreamResponse:
    statuses, order, page_number, limit = contacts_query(request.query)
    campaign_id = request.match_info["id"]
    page = None
    if is_uuid(campaign_id):
        page = await context_of(request).read_model.contacts(request[ORG], campaign_id, statuses, order, page_number, limit)
    if page is None:
        raise no_campaign(campaign_id)
    return json_response(page_of(map(contact, page.items), page.total, page_number, limit, "ASC"))
