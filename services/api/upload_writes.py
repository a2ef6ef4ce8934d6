"""Owns how contacts at size come in: added to a campaign as CSV or JSON, or as CSV beside the campaign that they create."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from pydantic import ValidationError

from events.campaigns import AddedContacts
from events.validation import messages_of
from services.api.answered_writes import beside_if_large, campaign_id_in, write
from services.api.answers import listed_campaign
from services.api.bodies import TOO_DEEP, parse_json, require_json
from services.api.contact_plans import plan_addition, plan_spooled_creation
from services.api.context import ORG, ApiContext, context_of
from services.api.errors import BodyTimeoutError, InvalidRequestError, NotJsonError, TooLargeError
from services.api.generations import Generation
from services.api.plans import Asked, Plan
from services.api.query_parameters import Parameters
from services.api.responding import json_response, write_whole
from services.api.uploads import Contacts
from services.api.writing import Accepted

CAMPAIGN_PART = "campaign"
CUSTOMERS_PART = "customers"
BAD_LINES = ("reject", "skip")
_MAX_CAMPAIGN_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024


async def add_contacts(request: web.Request) -> web.StreamResponse:
    """More contacts for a campaign that is not over, as `text/csv` or as JSON; 201 says how many were added."""
    campaign_id = campaign_id_in(request)
    context = context_of(request)
    skip = _skips_bad_lines(request)
    async with AsyncExitStack() as stack:
        if request.content_type == "text/csv":
            _require_utf8(request.charset)
            await stack.enter_async_context(context.uploads.room(request[ORG]))
            contacts = await stack.enter_async_context(context.uploads.csv(request.content.iter_any(), skip))
        else:
            contacts = await _contacts_as_json(request, context, stack)

        async def answer(accepted: Accepted) -> web.StreamResponse:
            added = {"campaignId": campaign_id, "contactsAdded": contacts.spool.count} | _skipped(contacts)
            return await write_whole(request, json_response(added, 201))

        def plans(asked: Asked) -> Plan:
            return plan_addition(asked, campaign_id, contacts.spool)

        return await write(request, f"{contacts.digest}:{skip}", plans, answer, must_be_stored=True)


async def create_with_upload(generation: Generation, request: web.Request) -> web.StreamResponse:
    """A campaign and its contacts as `multipart/form-data`; answered without its contacts, as in a list."""
    context = context_of(request)
    skip = _skips_bad_lines(request)
    async with context.uploads.room(request[ORG]), AsyncExitStack() as stack:
        body, contacts = await _parts(request, context, stack, skip)
        head = generation.head(parse_json(body))
        digest = hashlib.sha256(body + contacts.digest.encode()).hexdigest()

        async def answer(accepted: Accepted) -> web.StreamResponse:
            return await write_whole(request, json_response(listed_campaign(accepted.row) | _skipped(contacts), 201))

        def plans(asked: Asked) -> Plan:
            return plan_spooled_creation(asked, head, contacts.spool)

        return await write(request, f"{digest}:{skip}", plans, answer, must_be_stored=True)


async def _contacts_as_json(request: web.Request, context: ApiContext, stack: AsyncExitStack) -> Contacts:
    require_json(request)
    body = await stack.enter_async_context(context.bodies.read(request))
    spool = await stack.enter_async_context(context.uploads.spool())

    def fill() -> Contacts:
        try:
            added = AddedContacts.model_validate(parse_json(body), by_alias=True, by_name=False)
            for customer in added.customers:
                spool.add(orjson.dumps(customer.to_wire()))
        except ValidationError as error:
            raise InvalidRequestError(messages_of(error)) from error
        except (RecursionError, TypeError) as error:
            raise InvalidRequestError([TOO_DEEP]) from error
        return Contacts(spool, hashlib.sha256(body).hexdigest())

    contacts: Contacts = await beside_if_large(body, fill)
    return contacts


async def _parts(request: web.Request, context: ApiContext, stack: AsyncExitStack, skip: bool) -> tuple[bytes, Contacts]:
    """The campaign as JSON, and the contacts; each part once, in any order."""
    try:
        async with asyncio.timeout(context.uploads.seconds):
            return await _parts_of(await request.multipart(), context, stack, skip)
    except TimeoutError as error:
        raise BodyTimeoutError(f"the form did not come within {context.uploads.seconds:g} seconds") from error
    except ValueError as error:
        raise InvalidRequestError("the form is broken") from error


async def _parts_of(form: MultipartReader, context: ApiContext, stack: AsyncExitStack, skip: bool) -> tuple[bytes, Contacts]:
    campaign: bytes | None = None
    contacts: Contacts | None = None
    while (part := await _next_part(form)) is not None:
        if isinstance(part, BodyPartReader) and part.name == CAMPAIGN_PART and campaign is None:
            campaign = await _whole(part)
        elif isinstance(part, BodyPartReader) and part.name == CUSTOMERS_PART and contacts is None:
            contacts = await stack.enter_async_context(context.uploads.csv(_chunks(part), skip))
        else:
            raise InvalidRequestError([f"the form must hold the parts {CAMPAIGN_PART} and {CUSTOMERS_PART}, each once, and no other"])
    if campaign is None or contacts is None:
        raise InvalidRequestError([f"{CAMPAIGN_PART if campaign is None else CUSTOMERS_PART} is required as a part of the form"])
    return campaign, contacts


async def _next_part(form: MultipartReader) -> MultipartReader | BodyPartReader | None:
    """Raises `ValueError` where the form is broken: what the library says of a part named `_charset_` is a `RuntimeError`."""
    try:
        return await form.next()
    except RuntimeError as error:
        raise ValueError("the form's charset can not be read") from error


async def _whole(part: BodyPartReader) -> bytes:
    body = bytearray()
    async for chunk in _chunks(part):
        body += chunk
        if len(body) > _MAX_CAMPAIGN_BYTES:
            raise TooLargeError(f"{CAMPAIGN_PART} must be at most {_MAX_CAMPAIGN_BYTES} bytes")
    return bytes(body)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        yield chunk


def _skips_bad_lines(request: web.Request) -> bool:
    """Whether the good lines are taken where others are bad, or nothing, as the caller asks."""
    parameters = Parameters(request.query)
    choice = parameters.one_of("badLines", BAD_LINES, "reject")
    parameters.check()
    return choice == "skip"


def _require_utf8(charset: str | None) -> None:
    if charset is not None and charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise NotJsonError("the CSV must be UTF-8")


def _skipped(contacts: Contacts) -> dict[str, Any]:
    return {"linesSkipped": contacts.skipped, "errors": contacts.errors} if contacts.skipped else {}
