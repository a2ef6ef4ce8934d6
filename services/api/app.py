"""Owns the routes."""

from functools import partial

from aiohttp import web

from services.api.call_reads import get_call, list_calls
from services.api.campaign_reads import get_summary, get_whole_campaign, list_campaigns, list_contacts
from services.api.campaign_writes import create_campaign, delete_campaign, update_campaign
from services.api.contact_results import get_results
from services.api.context import ApiContext
from services.api.docs import get_docs, get_docs_file
from services.api.generations import V1, V2, Generation
from services.api.middleware import UNKNOWN_ROUTE, keyed, name_request, observed, refuse_unknown
from services.api.openapi import get_openapi
from services.api.provider_callbacks import receive_callback
from services.api.twilio_callbacks import receive_twilio_callback
from services.api.upload_writes import add_contacts
from services.api.webhook_requests import list_dead_webhooks, replay_dead_webhooks
from services.runtime.callback_urls import CALLBACK_ROUTE, TWILIO_CALLBACK_ROUTE
from services.runtime.health import Health

DEAD_WEBHOOKS_ROUTE = "/webhooks/dead"


def make_app(context: ApiContext, health: Health) -> web.Application:
    """The whole HTTP surface of the process."""
    app = web.Application()
    app.on_response_prepare.append(name_request)
    context.metrics.in_progress.set_function(lambda: context.in_progress.now)
    routes = [
        *_campaign_routes(V1),
        *_campaign_routes(V2),
        web.get(f"{V2.prefix}/{{id}}/contacts", keyed(list_contacts), allow_head=False),
        web.get("/call", keyed(list_calls), allow_head=False),
        web.get("/call/{id}", keyed(get_call), allow_head=False),
        web.get(DEAD_WEBHOOKS_ROUTE, keyed(list_dead_webhooks), allow_head=False),
        web.post(f"{DEAD_WEBHOOKS_ROUTE}/replay", keyed(replay_dead_webhooks)),
        web.post(CALLBACK_ROUTE, receive_callback),
        web.post(TWILIO_CALLBACK_ROUTE, receive_twilio_callback),
        web.get("/openapi.json", get_openapi, allow_head=False),
        web.get("/docs", get_docs, allow_head=False),
        web.get("/docs/{file}", get_docs_file, allow_head=False),
        *health.routes(),
        web.route("*", UNKNOWN_ROUTE, refuse_unknown),
    ]
    app.add_routes(observed(route, context) for route in routes)
    return app


def _campaign_routes(generation: Generation) -> list[web.RouteDef]:
    collection, item = generation.prefix, f"{generation.prefix}/{{id}}"
    return [
        web.post(collection, keyed(partial(create_campaign, generation))),
        web.get(collection, keyed(partial(list_campaigns, generation)), allow_head=False),
        web.get(item, keyed(get_summary if generation.summarises else get_whole_campaign), allow_head=False),
        web.patch(item, keyed(partial(update_campaign, generation))),
        web.delete(item, keyed(partial(delete_campaign, generation))),
        web.post(f"{item}/contacts", keyed(add_contacts)),
        web.get(f"{item}/results", keyed(get_results), allow_head=False),
    ]
