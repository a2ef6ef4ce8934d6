"""Owns the providers' callbacks: authenticated, turned into reports, and confirmed only once they are in the log."""

import asyncio

from aiohttp import web

from events.commands import ReportCall
from events.envelope import Command
from events.ids import is_uuid
from events.topics import CALL_COMMANDS
from services.api.bodies import parse_json
from services.api.callback_reports import read_report
from services.api.command_log import LogUnavailableError, MaybeWrittenError
from services.api.context import ApiContext, context_of
from services.api.errors import ForbiddenError, UnavailableError
from services.api.plans import SOURCE
from services.api.responding import json_response
from services.runtime.callback_urls import verify
from services.runtime.report_records import encode_fitting

MAX_CALLBACK_BYTES = 8 * 1024 * 1024
_APPEND_SECONDS = 20.0


async def receive_callback(request: web.Request) -> web.StreamResponse:
    """200 once the report is durable, or says nothing that we know; 503 asks the provider to send it again."""
    context = context_of(request)
    org_id, campaign_id, call_id, attempt, mac = (request.match_info[part] for part in ("org", "campaign", "call", "attempt", "mac"))
    if not verify(context.callback_key, org_id, campaign_id, call_id, attempt, mac) or not (is_uuid(campaign_id) and is_uuid(call_id)):
        raise forbidden(context)
    async with context.callback_bodies.read(request, MAX_CALLBACK_BYTES) as body:
        report = read_report(int(attempt), parse_json(body))
    await take_report(context, org_id, campaign_id, call_id, report)
    return json_response({})


def forbidden(context: ApiContext) -> ForbiddenError:
    """To be raised for a callback that nobody asked for; counts it."""
    context.metrics.callbacks.labels("forbidden").inc()
    return ForbiddenError("this callback was not asked for")


async def take_report(context: ApiContext, org_id: str, campaign_id: str, call_id: str, report: ReportCall | None) -> None:
    """Return once the report is durable, or at once where there is none; raises `UnavailableError`.

    A report that is sent twice changes nothing the second time: the engine goes by the call's state.
    """
    if report is None:
        context.metrics.callbacks.labels("ignored").inc()
        return
    record = encode_fitting(Command(context.draw_id(), org_id, report, SOURCE, campaign_id, call_id))
    try:
        async with asyncio.timeout(_APPEND_SECONDS):
            await context.command_log.append(CALL_COMMANDS, org_id, [record])
    except (LogUnavailableError, MaybeWrittenError, TimeoutError) as error:
        context.metrics.callbacks.labels("unavailable").inc()
        raise UnavailableError("the report can not be taken now") from error
    context.metrics.callbacks.labels("reported").inc()
