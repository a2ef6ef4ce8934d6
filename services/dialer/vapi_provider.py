"""Owns the adapter to any provider that speaks Vapi's `POST /call`, the simulator among them."""

from typing import Any

import aiohttp
import orjson
from pydantic import ValidationError

from events.calls import REFUSED
from events.commands import ReportCall
from events.overrides import deep_merged
from services.dialer.http_answers import content_of
from services.dialer.posting import post_once, said_by_status
from services.dialer.provider import Answer, FoundCall, LookupFailedError, PlaceCall, Placed, Refused, Unknown
from services.dialer.vapi_lookup import read_found

_OVERRIDES = ("assistantOverrides", "squadOverrides")
_SERVER_MESSAGES = ["status-update", "end-of-call-report"]
_LARGEST_LOOKUP_BYTES = 8 * 1024 * 1024
"""As a callback's: a call may be shown with all that was said in it."""


class VapiCompatibleProvider:
    """A `CallProvider` over HTTP. The callback URL is made the call's `server.url`, our ids its `metadata`.

    `http` gives the session, on which neither cookies nor redirects matter; `timeout_seconds` bounds a whole request,
    `connect_seconds` the part of it in which nothing was sent yet.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        key: str,
        *,
        name: str,
        can_find: bool,
        timeout_seconds: float,
        connect_seconds: float,
    ) -> None:
        self._http = http
        self._url = base_url.rstrip("/") + "/call"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._name = name
        self._can_find = can_find
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=connect_seconds)

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_find(self) -> bool:
        return self._can_find

    async def place(self, call: PlaceCall) -> Answer:
        body = orjson.dumps(request_body(call))
        return await post_once(self._http, self._url, body, self._headers, self._timeout, _answer)

    async def find(self, call_id: str, attempt: int) -> FoundCall | None:
        query = {"metadataCallId": call_id, "attempt": str(attempt)}
        try:
            async with self._http.get(self._url, params=query, headers=self._headers, timeout=self._timeout) as response:
                if response.status != 200:
                    raise LookupFailedError(f"the provider answered {response.status}")
                content = await content_of(response, _LARGEST_LOOKUP_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise LookupFailedError(f"no answer came: {type(error).__name__}") from error
        return read_found(content, call_id, attempt)


def request_body(call: PlaceCall) -> dict[str, Any]:
    """The body of `POST /call`: the campaign's overrides, over them the customer's own, over both what makes the call ours."""
    task = call.task
    customer = {key: value for key, value in task.customer.items() if key not in _OVERRIDES}
    ours = {
        "metadata": {"orgId": task.org_id, "campaignId": task.campaign_id, "callId": task.call_id, "attempt": call.attempt},
        "serverMessages": _SERVER_MESSAGES,
    }
    campaign = {"assistantOverrides": task.assistant_overrides, "squadOverrides": task.squad_overrides}
    body: dict[str, Any] = {task.target_field: task.target_id, "customer": customer}
    if task.phone_number_id is not None:
        body["phoneNumberId"] = task.phone_number_id
    for name in _OVERRIDES:
        merged = deep_merged(campaign[name] or {}, task.customer.get(name) or {})
        if merged:
            body[name] = merged
    carrier = "squadOverrides" if task.target_field == "squadId" else "assistantOverrides"
    # a `server` of the user's would bring its credentials to us: ours takes its place as a whole
    body[carrier] = deep_merged(body.get(carrier, {}), ours) | {"server": {"url": call.callback_url}}
    return body


def _answer(status: int, content: bytes) -> Answer:
    if status in (200, 201):
        provider_call_id = _identifier(content)
        return Placed(provider_call_id) if provider_call_id else Unknown(f"answered {status} without the call's id")
    # what it says may repeat the number, so only the status goes on
    return said_by_status(status) or Refused(REFUSED, f"the provider answered {status}")


def _identifier(content: bytes) -> str | None:
    try:
        answer = orjson.loads(content)
        return ReportCall(attempt=1, status="ringing", provider_call_id=answer["id"]).provider_call_id
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError):
        return None
