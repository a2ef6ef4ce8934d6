"""Owns what every write shares: a request joins its repeats, is carried out once, and is answered with what came of it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from aiohttp import web

from events.ids import is_uuid
from services.api.bodies import LARGE_BODY_BYTES
from services.api.campaign_stream import PAGE, calls_in, calls_of, campaign_chunks
from services.api.context import ORG, context_of
from services.api.errors import NotFoundError, error_response
from services.api.plans import Asked, Plan
from services.api.repeats import Joined
from services.api.request_identity import RequestIdentity
from services.api.responding import write_chunks, write_whole
from services.api.writing import Accepted, Refused

Plans = Callable[[Asked], Plan]
"""A plan for a command; raises an `ApiError` where the request is refused before anything is appended."""
Answer = Callable[[Accepted], Awaitable[web.StreamResponse]]
"""Writes what an accepted request is answered."""
T = TypeVar("T")
CarryOut = Callable[[Asked], Awaitable[T | Refused]]
"""Does what is asked, or tells why not."""


async def write(request: web.Request, body_hash: str, plans: Plans, answer: Answer, *, must_be_stored: bool = False) -> web.StreamResponse:
    """Carry the request out, or join the equal one that is; `body_hash` says what it asks beside its method and path.

    `must_be_stored`: it is not begun where a repeat by way of another process, or after a restart, would not be known.
    """
    return await joined(request, body_hash, by_plan(request, plans), answer, must_be_stored=must_be_stored)


def by_plan(request: web.Request, plans: Plans) -> CarryOut[Accepted]:
    """Makes the plan and carries it out."""
    context = context_of(request)

    async def carry_out(asked: Asked) -> Accepted | Refused:
        plan = await asyncio.to_thread(plans, asked) if _is_large(request) else plans(asked)
        return await context.writer.carry_out(plan)

    return carry_out


async def joined(
    request: web.Request,
    body_hash: str,
    carry_out: CarryOut[T],
    answer: Callable[[T], Awaitable[web.StreamResponse]],
    *,
    must_be_stored: bool = False,
) -> web.StreamResponse:
    """`write` of anything that is carried out once for all who ask the same."""
    async with AsyncExitStack() as stack:
        part = await begin(request, body_hash, carry_out, stack, must_be_stored=must_be_stored)
        return await tell(request, part, answer)


async def begin(
    request: web.Request, body_hash: str, carry_out: CarryOut[T], stack: AsyncExitStack, *, must_be_stored: bool = False
) -> Joined[T | Refused]:
    """The first half of `joined`: what came of the request, to be told while `stack` lasts.

    Who asks for much ends the call that holds it between the halves, since a client may be slow to read its answer: nothing here keeps it.
    """
    context, key = context_of(request), request.headers.get("Idempotency-Key")
    identity = RequestIdentity.of(request[ORG], request.method, request.path, body_hash, key)

    async def act(command_id: str) -> T | Refused:
        with context.metrics.writes_waiting.track_inprogress():
            return await carry_out(Asked(request[ORG], command_id, identity.digest))

    return await stack.enter_async_context(context.repeats.joined(identity, act, must_be_stored=must_be_stored))


async def tell(request: web.Request, part: Joined[T | Refused], answer: Callable[[T], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """The second half of `joined`: write the answer."""
    if isinstance(part.result, Refused):
        refusal = part.result.error
        response: web.StreamResponse = await write_whole(request, error_response(refusal.status, refusal.message))
    else:
        response = await answer(part.result)
    await part.answered()
    return response


async def hash_of(body: bytes) -> str:
    """Says of a request what its body asks."""
    digest: str = await beside_if_large(body, lambda: hashlib.sha256(body).hexdigest())
    return digest


async def whole_campaign(
    request: web.Request, accepted: Accepted, status: int = 200, shown_status: str | None = None
) -> web.StreamResponse:
    """The campaign with all its calls; `shown_status` is told in place of its own."""
    context = context_of(request)
    if accepted.folded is not None:
        row, read = accepted.row, calls_in(accepted.folded)
    else:
        found = await context.read_model.campaign_and_calls(request[ORG], accepted.row.id, PAGE, deleted=True)
        row, first_page = found or (accepted.row, [])
        read = calls_of(row, first_page, context.read_model)
    return await write_chunks(request, campaign_chunks(row, read, context.calls_as_strings, shown_status), status)


def campaign_id_in(request: web.Request) -> str:
    """The id in the path; raises `NotFoundError` where it is none."""
    campaign_id = request.match_info["id"]
    if not is_uuid(campaign_id):
        raise no_campaign(campaign_id)
    return campaign_id


def no_campaign(campaign_id: str) -> NotFoundError:
    return NotFoundError(f"campaign {campaign_id} does not exist")


async def beside_if_large(body: bytes, work: Callable[[], Any]) -> Any:
    """The result of `work`, made in a thread where the body is large, so that others are answered meanwhile."""
    return await asyncio.to_thread(work) if len(body) > LARGE_BODY_BYTES else work()


def _is_large(request: web.Request) -> bool:
    return request.content_length is None or request.content_length > LARGE_BODY_BYTES
