"""Owns what surrounds every request: its id, who asks, its log line and metrics, and errors in the one shape."""

import itertools
import logging
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from projections.queries.page_size import PageTooLargeError
from projections.queries.read_model import CallsReplacedError, ReadModelAwayError
from services.api.context import CONTEXT, ORG, REQUEST_ID, ApiContext, context_of
from services.api.errors import ApiError, ForbiddenError, error_response
from services.api.kept_response import REQUEST_ID_HEADER
from services.api.keys import READ, WRITE
from services.runtime.health import HEALTH_ROUTES

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
UNKNOWN_ROUTE = "/{unknown:.*}"
_CLIENT_GONE = 499
_READING = frozenset({"GET", "HEAD"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS = frozenset({"GET", "HEAD"})
_ROUTINE = "/provider-callbacks/"
"""Reads and callbacks are so many that only what goes wrong is worth a line; `/metrics` counts them all."""

_log = logging.getLogger(__name__)


def observed(route: web.RouteDef, context: ApiContext) -> web.RouteDef:
    """The route whose requests are named, counted, timed and logged; the log line holds no path, since a callback's path is a secret.

    Each handler is wrapped once, instead of by a middleware for every request.
    """
    handler: Handler = route.handler
    monotonic, answered = context.clock.monotonic, context.metrics.answered
    name, new_id = "unknown" if route.path == UNKNOWN_ROUTE else route.path, _request_ids()
    in_progress = context.in_progress
    # who watches over the process must see that it lives when it is busy
    is_bounded = route.path not in HEALTH_ROUTES

    async def handle(request: web.Request) -> web.StreamResponse:
        request[CONTEXT], request[REQUEST_ID] = context, new_id()
        started, status, counts = monotonic(), _CLIENT_GONE, False
        try:
            if is_bounded:
                in_progress.begin()
                counts = True
            response = await handler(request)
            status = response.status
        except Exception as error:
            response = _answer_to(error, request, name)
            status = response.status
        finally:
            if counts:
                in_progress.end()
            seconds = monotonic() - started
            method = request.method if request.method in _METHODS else "other"
            answered(method, name, status, seconds)
            is_routine = status < 400 and (method in _READS or name.startswith(_ROUTINE))
            if not is_routine or _log.isEnabledFor(logging.DEBUG):
                _log_request(request, method, name, status, seconds, logging.DEBUG if is_routine else logging.INFO)
        return response

    return web.RouteDef(route.method, route.path, handle, route.kwargs)


def _request_ids() -> Callable[[], str]:
    """Ids that no other process and no other route draws: random bits and a count."""
    drawn, count = os.urandom(12).hex(), itertools.count()
    return lambda: f"{drawn}{next(count):08x}"


def _log_request(request: web.Request, method: str, route: str, status: int, seconds: float, level: int) -> None:
    fields = {"action": "request", "request_id": request[REQUEST_ID], "method": method, "route": route, "status": status}
    _log.log(level, "%s %s %d", method, route, status, extra=fields | {"seconds": round(seconds, 4)})


async def refuse_unknown(request: web.Request) -> web.StreamResponse:
    """For what no other route takes: 404, or 405 where the path takes other methods."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource is not request.match_info.route.resource:
            allowed |= (await resource.resolve(request))[1]
    if allowed:
        raise web.HTTPMethodNotAllowed(request.method, allowed)
    raise web.HTTPNotFound


def _answer_to(error: Exception, request: web.Request, route: str) -> web.Response:
    if isinstance(error, ApiError):
        return error_response(error.status, error.message, error.headers)
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        message = f"Cannot {request.method} {request.path}" if error.status == 404 else error.reason
        return error_response(error.status, message, allowed)
    if isinstance(error, PageTooLargeError):
        return error_response(HTTPStatus.BAD_REQUEST, [str(error)])
    if isinstance(error, ReadModelAwayError | CallsReplacedError):
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "the campaigns can not be read now", {"Retry-After": "1"})
    if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
        # the client is gone, or was cut off: nobody gets this
        return web.Response(status=_CLIENT_GONE)
    fields = {"action": "request-failed", "request_id": request[REQUEST_ID], "route": route}
    _log.error("a request failed", exc_info=error, extra=fields)
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")


def keyed(handler: Handler) -> Handler:
    """The handler for requests with a valid key that does not ask too often, and has the scope that the method needs.

    The key's org stands under `ORG`. A missing scope is 403 as in RFC 6750, section 3.1.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        context = context_of(request)
        key = await context.authenticator.key_of(request.headers.get("Authorization"))
        context.rate_limits.count(key.id, key.org_id)
        scope = READ if request.method in _READING else WRITE
        if not key.allows(scope):
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise ForbiddenError(f"this key may not {scope}: its scope is `{key.scopes}`", {"WWW-Authenticate": challenge})
        request[ORG] = key.org_id
        return await handler(request)

    return handle


async def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Send the request's id along, right before the headers go out."""
    if REQUEST_ID in request:
        response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
