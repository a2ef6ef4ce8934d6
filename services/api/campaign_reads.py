"""Owns GET of campaigns and of V2's contacts."""

from typing import Any

import orjson
from aiohttp import web

from events.ids import is_uuid
from projections.campaign_progress.rows import CampaignRow
from projections.queries.calls import call_characters
from projections.queries.views import CampaignVersion, Page
from services.api.answered_writes import campaign_id_in, no_campaign
from services.api.answers import campaign_summary, contact, listed_campaign, page_of
from services.api.campaign_stream import PAGE, calls_of, campaign_chunks
from services.api.context import ORG, context_of
from services.api.generations import Generation
from services.api.known_answers import Question
from services.api.pages import page_response
from services.api.query_parameters import Parameters, campaigns_query, contacts_query
from services.api.responding import unless_known, write_chunks


async def get_whole_campaign(request: web.Request) -> web.StreamResponse:
    context, campaign_id = context_of(request), campaign_id_in(request)
    found = await context.read_model.campaign_and_calls(request[ORG], campaign_id, PAGE)
    if found is None:
        raise no_campaign(campaign_id)
    return await write_chunks(request, campaign_chunks(found[0], calls_of(*found, context.read_model), context.calls_as_strings))


async def get_summary(request: web.Request) -> web.StreamResponse:
    """From the bytes that were answered last, where the campaign's version says that they are of the campaign as it is now."""
    context, counters = context_of(request), False
    if request.query_string:
        parameters = Parameters(request.query)
        counters = parameters.flag("includeCounters")
        parameters.check()
    question = Question(request[ORG], campaign_id_in(request), counters)
    version = await context.read_model.version(question.org_id, question.campaign_id)
    if version is None:
        raise no_campaign(question.campaign_id)
    answer = context.known_answers.of(question, version)
    if answer is None:
        row = await context.read_model.campaign(question.org_id, question.campaign_id)
        if row is None:
            raise no_campaign(question.campaign_id)
        # the row may be newer than what was asked first, but not of an older generation
        version = CampaignVersion(version.generation, row.version)
        answer = context.known_answers.keep(question, version, orjson.dumps(campaign_summary(row, counters)))
    return unless_known(request, answer)


async def list_campaigns(generation: Generation, request: web.Request) -> web.StreamResponse:
    context = context_of(request)
    query, counters = campaigns_query(request[ORG], request.query)

    def answer(row: CampaignRow) -> dict[str, Any]:
        return campaign_summary(row, counters) if generation.summarises else listed_campaign(row)

    def whole(results: list[orjson.Fragment]) -> dict[str, Any]:
        return page_of(results, page.total, query.page, query.limit, "DESC" if query.descending else "ASC")

    async with context.pages:
        page: Page[CampaignRow] = Page([], 0)
        if query.campaign_id is None or is_uuid(query.campaign_id):
            page = await context.read_model.campaigns(query)
        return await page_response(page.items, lambda row: len(row.spec), answer, whole)


async def list_contacts(request: web.Request) -> web.StreamResponse:
    context, campaign_id = context_of(request), campaign_id_in(request)
    statuses, order, page_number, limit = contacts_query(request.query)
    async with context.pages:
        page = await context.read_model.contacts(request[ORG], campaign_id, statuses, order, page_number, limit)
        if page is None:
            raise no_campaign(campaign_id)
        total = page.total
        return await page_response(page.items, call_characters, contact, lambda results: page_of(results, total, page_number, limit, "ASC"))
