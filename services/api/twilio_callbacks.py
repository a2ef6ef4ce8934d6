"""Owns Twilio's status callbacks: authenticated by our URL and by Twilio's signature, then taken as any provider's report."""

from aiohttp import web

from events.ids import is_uuid
from services.api.context import context_of
from services.api.provider_callbacks import forbidden, take_report
from services.api.responding import json_response
from services.api.twilio_reports import is_signed, parse_form, read_twilio_report
from services.runtime.callback_urls import twilio_callback_url, verify_twilio

_MAX_CALLBACK_BYTES = 64 * 1024


async def receive_twilio_callback(request: web.Request) -> web.StreamResponse:
    """200 once the report is durable, or says nothing that we know; 403 unless both URL and signature are right."""
    context = context_of(request)
    provider, org_id, campaign_id, call_id, attempt, mac = (
        request.match_info[part] for part in ("provider", "org", "campaign", "call", "attempt", "mac")
    )
    auth_token = context.twilio_tokens.get(provider)
    is_ours = verify_twilio(context.callback_key, provider, org_id, campaign_id, call_id, attempt, mac)
    if auth_token is None or not is_ours or not (is_uuid(campaign_id) and is_uuid(call_id)):
        raise forbidden(context)
    async with context.callback_bodies.read(request, _MAX_CALLBACK_BYTES) as body:
        fields = parse_form(body)
    # behind a proxy the request does not tell the URL that Twilio called, but we gave it to Twilio ourselves
    url = twilio_callback_url(context.callback_base, context.callback_key, provider, org_id, campaign_id, call_id, int(attempt))
    if not is_signed(request.headers.get("X-Twilio-Signature", ""), auth_token, url, fields):
        raise forbidden(context)
    report = read_twilio_report(int(attempt), provider, fields)
    await take_report(context, org_id, campaign_id, call_id, report)
    return json_response({})
