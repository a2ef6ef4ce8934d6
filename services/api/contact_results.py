"""Owns what became of a campaign's contacts as a download: CSV or NDJSON, streamed in the order of the contacts."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from aiohttp import web

from events.contacts import E164
from events.wire import VARIABLE_VALUES
from projections.queries.views import CallView
from services.api.answered_writes import campaign_id_in, no_campaign
from services.api.answers import contact_result
from services.api.campaign_stream import PAGE, calls_of, pages_of
from services.api.context import ORG, context_of
from services.api.query_parameters import Parameters
from services.api.responding import write_chunks

CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
COLUMNS = (
    "number", "name", "email", "externalId", "variables", "id", "status", "callStatus", "endedReason",
    "dispatchedAt", "startedAt", "endedAt", "cost", "analysis",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


async def get_results(request: web.Request) -> web.StreamResponse:
    """Every contact with its call; memory does not grow with their number. Contacts are of the moment in which their page is read."""
    context, campaign_id = context_of(request), campaign_id_in(request)
    parameters = Parameters(request.query)
    form = parameters.one_of("format", tuple(CONTENT_TYPES), "csv") or "csv"
    parameters.check()
    found = await context.read_model.campaign_and_calls(request[ORG], campaign_id, PAGE)
    if found is None:
        raise no_campaign(campaign_id)
    pages = pages_of(found[0], calls_of(*found, context.read_model))
    chunks = _csv(pages) if form == "csv" else _ndjson(pages)
    return await write_chunks(request, chunks, content_type=CONTENT_TYPES[form])


async def _ndjson(pages: AsyncIterator[list[CallView]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(orjson.dumps(contact_result(call), option=orjson.OPT_APPEND_NEWLINE) for call in page)


async def _csv(pages: AsyncIterator[list[CallView]]) -> AsyncIterator[bytes]:
    yield _rows([COLUMNS])
    async for page in pages:
        yield _rows([_row(contact_result(call)) for call in page])


def _rows(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _row(result: dict[str, Any]) -> list[Any]:
    customer = result["customer"]
    cells = result | {
        "email": customer.get("email"),
        "externalId": customer.get("externalId"),
        "variables": _json(customer.get("assistantOverrides", {}).get(VARIABLE_VALUES)),
        "analysis": _json(result.get("analysis")),
    }
    return [_inert(cells.get(column)) for column in COLUMNS]


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is set off by a quote, as OWASP advises against CSV injection.

    An E.164 number comes to nothing but itself. What stands in a contact's `number` may be a SIP URI, which is any text.
    """
    is_formula = isinstance(value, str) and value.startswith(_FORMULA) and E164.fullmatch(value) is None
    return f"'{value}" if is_formula else value
