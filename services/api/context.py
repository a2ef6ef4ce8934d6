"""Owns what a request's handler is given: everything from outside, made once and wired in `bootstrap`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from projections.queries.read_model import ReadModel
from services.api.auth import Authenticator
from services.api.bodies import BodyReader
from services.api.command_log import CommandLog
from services.api.known_answers import KnownAnswers
from services.api.metrics import ApiMetrics
from services.api.pages import PageRoom
from services.api.rate_limits import RateLimits
from services.api.repeats import Repeats
from services.api.requests_in_progress import RequestsInProgress
from services.api.uploads import Uploads
from services.api.webhook_replays import WebhookReplays
from services.api.webhook_state import WebhookState
from services.api.writing import Writer
from services.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class ApiContext:
    """`draw_id` gives a fresh random UUID as text. `callback_key` authenticates the providers' callbacks.

    `callback_bodies` is room of their own, which no user can fill. `callback_base` is the API's address as providers reach it;
    `twilio_tokens` holds what each Twilio provider signs with.
    """

    authenticator: Authenticator
    rate_limits: RateLimits
    bodies: BodyReader
    callback_bodies: BodyReader
    pages: PageRoom
    uploads: Uploads
    read_model: ReadModel
    known_answers: KnownAnswers
    writer: Writer
    repeats: Repeats
    command_log: CommandLog
    webhook_state: WebhookState
    webhook_replays: WebhookReplays
    in_progress: RequestsInProgress
    metrics: ApiMetrics
    clock: Clock
    draw_id: Callable[[], str]
    callback_key: bytes
    callback_base: str
    twilio_tokens: Mapping[str, str]
    calls_as_strings: bool


CONTEXT: web.RequestKey[ApiContext] = web.RequestKey("context", ApiContext)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
ORG: web.RequestKey[str] = web.RequestKey("org", str)


def context_of(request: web.Request) -> ApiContext:
    return request[CONTEXT]
