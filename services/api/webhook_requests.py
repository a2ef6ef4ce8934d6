"""Owns the requests on dead webhooks: listed, and sent again."""

import hashlib

import orjson
from aiohttp import web
from pydantic import ValidationError

from events.validation import messages_of
from events.webhooks import WebhookReplay, WebhooksToReplay
from services.api.answered_writes import joined
from services.api.answers import page_of
from services.api.bodies import parse_json, require_json
from services.api.context import ORG, context_of
from services.api.errors import InvalidRequestError
from services.api.query_parameters import dead_webhooks_query
from services.api.responding import json_response, write_whole

MAX_REPLAY_BYTES = 256 * 1024
"""More than as many of the longest ids as are taken at once; what so few bytes hold is judged in no time on the event loop."""


async def list_dead_webhooks(request: web.Request) -> web.StreamResponse:
    campaign_id, page_number, limit, descending = dead_webhooks_query(request.query)
    page = await context_of(request).webhook_state.dead(request[ORG], campaign_id, page_number, limit, descending)
    items = [orjson.Fragment(webhook) for webhook in page.items]
    return json_response(page_of(items, page.total, page_number, limit, "DESC" if descending else "ASC"))


async def replay_dead_webhooks(request: web.Request) -> web.StreamResponse:
    """201 says how many are sent again; ids that are not dead, or of another org, count as absent."""
    context = context_of(request)
    require_json(request)
    async with context.bodies.read(request, MAX_REPLAY_BYTES) as body:
        which = _validated(parse_json(body))
        body_hash = hashlib.sha256(body).hexdigest()

        async def answer(outcome: WebhookReplay) -> web.StreamResponse:
            return await write_whole(request, json_response({"id": outcome.id, "webhooksReplayed": outcome.replayed}, 201))

        return await joined(request, body_hash, lambda asked: context.webhook_replays.carry_out(asked, which), answer)


def _validated(value: object) -> WebhooksToReplay:
    try:
        return WebhooksToReplay.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidRequestError(messages_of(error)) from error
