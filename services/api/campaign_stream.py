"""Owns the whole campaign as a stream of JSON: its calls are read page by page, never held all at once."""

from collections.abc import AsyncIterator, Awaitable, Callable

import orjson

from projections.campaign_progress.rows import CampaignRow
from projections.queries.calls import is_large
from projections.queries.read_model import ReadModel
from projections.queries.views import CallView
from services.api.answers import campaign_call, campaign_fields
from services.api.log_answers import FoldedCampaign

PAGE = 1_000
ReadCalls = Callable[[int, int], Awaitable[list[CallView]]]
"""Calls from a position on, up to a number of them, in order; fewer where they are the last or large."""


def calls_of(row: CampaignRow, first_page: list[CallView], read_model: ReadModel) -> ReadCalls:
    """Pages from the read model: the first as it was read with the row, each further one as of the moment it is read.

    Raises as `ReadModel.calls_from` does.
    """

    async def read(position: int, limit: int) -> list[CallView]:
        if position == row.first_position:
            return first_page
        return await read_model.calls_from(row, position, limit)

    return read


def calls_in(folded: FoldedCampaign) -> ReadCalls:
    """Pages of a campaign that was folded from the log."""

    async def read(position: int, limit: int) -> list[CallView]:
        start = position - folded.row.first_position
        return list(folded.calls[start : start + limit])

    return read


async def campaign_chunks(row: CampaignRow, read: ReadCalls, calls_as_strings: bool, status: str | None = None) -> AsyncIterator[bytes]:
    """The JSON object in pieces, its keys always in the same order; `status` is told in place of the row's own.

    The counters are of one moment, since they come from the one row; the calls of the first page are of that moment too.
    """
    fields = campaign_fields(row) | ({} if status is None else {"status": status})
    yield orjson.dumps(fields)[:-1]
    async for chunk in _dial_plan(row, read) if row.has_dial_plan else _customers(row, read):
        yield chunk
    yield b',"calls":{'
    separator = b""
    async for page in pages_of(row, read):
        items = []
        for call in page:
            value = campaign_call(call)
            items.append(b'"%b":%b' % (call.id.encode(), orjson.dumps(value.decode()) if calls_as_strings else value))
        yield separator + b",".join(items)
        separator = b","
    yield b"}}"


async def _customers(row: CampaignRow, read: ReadCalls) -> AsyncIterator[bytes]:
    separator = b',"customers":['
    async for page in pages_of(row, read):
        yield separator + b",".join(call.customer.encode() for call in page)
        separator = b","
    yield b"]" if separator == b"," else separator + b"]"


async def _dial_plan(row: CampaignRow, read: ReadCalls) -> AsyncIterator[bytes]:
    yield b',"dialPlan":['
    entry: int | None = None
    async for page in pages_of(row, read):
        pieces = []
        for call in page:
            if call.entry != entry:
                opening = b'{"phoneNumberId":%b,"customers":[' % orjson.dumps(call.phone_number_id)
                pieces.append((b"" if entry is None else b"]},") + opening)
                entry = call.entry
            else:
                pieces.append(b",")
            pieces.append(call.customer.encode())
        yield b"".join(pieces)
    yield b"]" if entry is None else b"]}]"


async def pages_of(row: CampaignRow, read: ReadCalls) -> AsyncIterator[list[CallView]]:
    """The campaign's calls in the order of positions, by the thousand or fewer."""
    position = row.first_position
    while page := await read(position, PAGE):
        yield page
        position = page[-1].position + 1
        if len(page) < PAGE and not is_large(page):
            return
