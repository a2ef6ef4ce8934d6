"""Owns what a request can be refused with, and the one shape in which it is said (contract, "Errors")."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web


class ApiError(Exception):
    """The request ends with this status; `message` is one text, or a list with one text for each broken rule."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, message: str | list[str], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message if isinstance(message, str) else "; ".join(message))
        self.message = message
        self.headers = headers or {}


class InvalidRequestError(ApiError):
    """The request breaks a rule, or the campaign's state forbids it."""

    status = HTTPStatus.BAD_REQUEST


class UnauthorizedError(ApiError):
    """No key, or none that is valid."""

    status = HTTPStatus.UNAUTHORIZED


class NotFoundError(ApiError):
    """Unknown here, or of another org."""

    status = HTTPStatus.NOT_FOUND


class ForbiddenError(ApiError):
    """A provider's callback that we did not ask for, or a key without the scope that the request needs."""

    status = HTTPStatus.FORBIDDEN


class BodyTimeoutError(ApiError):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class TooLargeError(ApiError):
    """The body, or one contact in it, is larger than what is taken."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class NotJsonError(ApiError):
    """The body is not declared as what is taken here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class RateLimitedError(ApiError):
    """The key, or its org, asks too often; nothing was done. Retriable after a while."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, wait_seconds: int) -> None:
        super().__init__(message, {"Retry-After": str(wait_seconds)})


class UnavailableError(ApiError):
    """The log, or the read model, can not take the request now. Retriable."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, {"Retry-After": "1"})


def error_response(status: int, message: str | list[str], headers: Mapping[str, str] | None = None) -> web.Response:
    """`{"message", "error", "statusCode"}`."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    body = orjson.dumps({"message": message, "error": phrase, "statusCode": int(status)})
    return web.Response(status=int(status), body=body, content_type="application/json", headers=dict(headers or {}))
