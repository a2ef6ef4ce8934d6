"""Owns what surrounds every request: its id, who asks, its log line and metrics, and errors in the one shape."""

import logging
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from projections.queries.read_model import CallsReplacedError, ReadModelAwayError
from services.api.context import ORG, context_of
from services.api.errors import ApiError, ForbiddenError, error_response
from services.api.keys import READ, WRITE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
_CLIENT_GONE = 499
_READING = frozenset({"GET", "HEAD"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READS = frozenset({"GET", "HEAD"})
_ROUTINE = "/provider-callbacks/"
"""Reads and callbacks are so many that only what goes wrong is worth a line; `/metrics` counts them all."""

_log = logging.getLogger(__name__)


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count, time and log; the log line holds no path, since a callback's path is a secret."""
    context = context_of(request)
    request_id = request[REQUEST_ID] = os.urandom(16).hex()
    started = context.clock.monotonic()
    status = _CLIENT_GONE
    try:
        response = await _answered(request, handler, request_id)
        status = response.status
        return response
    finally:
        seconds = context.clock.monotonic() - started
        route, method = _route(request), request.method if request.method in _METHODS else "other"
        context.metrics.answered(method, route, status, seconds)
        is_routine = status < HTTPStatus.BAD_REQUEST and (method in _READS or route.startswith(_ROUTINE))
        level = logging.DEBUG if is_routine else logging.INFO
        if _log.isEnabledFor(level):
            fields = {"action": "request", "request_id": request_id, "method": method, "route": route, "status": status}
            _log.log(level, "%s %s %d", method, route, status, extra=fields | {"seconds": round(seconds, 4)})


async def _answered(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error.status, error.message, error.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        message = f"Cannot {request.method} {request.path}" if error.status == 404 else error.reason
        return error_response(error.status, message, allowed)
    except (ReadModelAwayError, CallsReplacedError):
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "the campaigns can not be read now", {"Retry-After": "1"})
    except Exception as error:
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            # the client is gone, or was cut off: nobody gets this
            return web.Response(status=_CLIENT_GONE)
        _log.exception("a request failed", extra={"action": "request-failed", "request_id": request_id, "route": _route(request)})
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
        response.headers["X-Request-Id"] = request[REQUEST_ID]


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical
