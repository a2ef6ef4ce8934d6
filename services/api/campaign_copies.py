"""Owns `duplicateFromCampaignId`: a campaign made of another one and of what the request gives (contract, the table at its top)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from events.campaigns import TARGETS, CampaignCopy, CampaignDraft, CampaignHead
from events.instants import parse_instant
from events.overrides import deep_merged
from events.validation import messages_of
from events.wire import AnyWire
from projections.campaign_progress.rows import CampaignRow
from services.api.answered_writes import begin, beside_if_large, hash_of, no_campaign
from services.api.bodies import TOO_DEEP
from services.api.campaign_stream import PAGE, calls_of, pages_of
from services.api.contact_plans import plan_spooled_creation
from services.api.context import ApiContext, context_of
from services.api.errors import InvalidRequestError
from services.api.generations import COPIED_FROM
from services.api.plans import Asked, plan_creation, plan_repeated_creation
from services.api.repeats import Joined
from services.api.writing import Accepted, Refused

_MERGED = ("assistantOverrides", "squadOverrides")


async def begin_copy(request: web.Request, body: bytes, copy: CampaignCopy, stack: AsyncExitStack) -> Joined[Accepted | Refused]:
    """The source's contacts are copied as they stand in the read model, unless the request gives others.

    A repeat needs no source, which may be gone by now.
    """
    context, source_id = context_of(request), copy.duplicate_from_campaign_id

    async def carry_out(asked: Asked) -> Accepted | Refused:
        made = await context.read_model.campaign(asked.org_id, asked.campaign_id, deleted=True)
        if made is not None:
            return await context.writer.carry_out(plan_repeated_creation(asked, orjson.loads(made.spec)))
        source = await context.read_model.campaign(asked.org_id, source_id)
        if source is None:
            raise no_campaign(source_id)
        fields = copied_fields(source, _given(copy), context.clock.now())
        if copy.customers is not None:
            return await context.writer.carry_out(
                await beside_if_large(body, lambda: plan_creation(asked, _validated(CampaignDraft, fields)))
            )
        head = _validated(CampaignHead, fields)
        async with context.uploads.room(asked.org_id), context.uploads.spool() as spool:
            async for customer in _customers(context, asked.org_id, source):
                spool.add(customer)
            plan = await beside_if_large(body, lambda: plan_spooled_creation(asked, head, spool))
            return await context.writer.carry_out(plan)

    return await begin(request, await hash_of(body), carry_out, stack, must_be_stored=True)


def copied_fields(source: CampaignRow, given: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The new campaign's fields: the source's, under those given; raises `InvalidRequestError` where V2 has no words for the source.

    A target that is given takes the place of the source's. A schedule that is over by `now` is not copied: calls would never begin.
    """
    spec = orjson.loads(source.spec)
    messages = []
    if source.has_dial_plan or "workflowId" in spec:
        field = "dialPlan" if source.has_dial_plan else "workflowId"
        messages.append(f"{COPIED_FROM} must name a V2 campaign, this is a V1 campaign with a {field}")
    latest_at = spec.get("schedulePlan", {}).get("latestAt")
    if latest_at is not None and "schedulePlan" not in given and parse_instant(latest_at) <= now:
        messages.append(f"schedulePlan is required, since that of the campaign to copy ended at {latest_at}")
    if messages:
        raise InvalidRequestError(messages)
    if any(target in given for target in TARGETS):
        spec = {field: value for field, value in spec.items() if field not in TARGETS}
    for field in _MERGED:
        if field in spec and field in given:
            given = given | {field: deep_merged(spec[field], given[field])}
    return {field: value for field, value in (spec | given).items() if field != COPIED_FROM}


def _given(copy: CampaignCopy) -> dict[str, Any]:
    try:
        return copy.to_wire()
    except ValueError as error:
        raise InvalidRequestError([TOO_DEEP]) from error


def _validated(model: type[AnyWire], fields: dict[str, Any]) -> AnyWire:
    try:
        return model.model_validate(fields, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidRequestError(messages_of(error)) from error


async def _customers(context: ApiContext, org_id: str, source: CampaignRow) -> AsyncIterator[bytes]:
    found = await context.read_model.campaign_and_calls(org_id, source.id, PAGE)
    if found is None:
        raise no_campaign(source.id)
    async for page in pages_of(found[0], calls_of(*found, context.read_model)):
        for call in page:
            yield call.customer.encode()
