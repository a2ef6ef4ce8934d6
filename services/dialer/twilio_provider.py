"""Owns the adapter to Twilio's Calls API (https://www.twilio.com/docs/voice/api/call-resource)."""

import base64
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from events.calls import REFUSED
from events.contacts import dialed_number
from services.dialer.posting import post_once, said_by_status
from services.dialer.provider import Answer, FoundCall, LookupFailedError, NotPlaced, PlaceCall, Placed, Refused, Unknown
from services.runtime.provider_choice import TwilioConfig

NO_CALLER = "call.start.error-get-phone-number"
MISDIALED = "twilio-reported-customer-misdialed"
NOT_CONNECTED = "twilio-failed-to-connect-call"
_REASONS = {
    13223: MISDIALED,
    13224: MISDIALED,
    21201: MISDIALED,
    21211: MISDIALED,
    21217: MISDIALED,
    21401: MISDIALED,
    13225: NOT_CONNECTED,
    13227: NOT_CONNECTED,
    21214: NOT_CONNECTED,
    21215: NOT_CONNECTED,
    21216: NOT_CONNECTED,
    21219: NOT_CONNECTED,
    21210: NO_CALLER,
    21212: NO_CALLER,
    21213: NO_CALLER,
}
"""What Twilio's error codes say of the call (https://www.twilio.com/docs/api/errors)."""
_ABOUT_US = frozenset({20003, 20005, 20008, 20404, 21205, 21218, 21609, 21626})
"""The account, its `url` or our callback URL is wrong, which no other number would make right: the call waits until it is."""
_SID = re.compile(r"CA[0-9a-f]{32}")
_EVENTS = ("initiated", "ringing", "answered", "completed")


class TwilioProvider:
    """A `CallProvider`. What the call does is said by the TwiML of the configured URL, which gets our ids as its query."""

    can_find = False
    """Twilio takes no id of ours, and numbers and times do not name an attempt."""

    def __init__(
        self, http: aiohttp.ClientSession, config: TwilioConfig, *, name: str, timeout_seconds: float, connect_seconds: float
    ) -> None:
        self._http = http
        self._config = config
        self._name = name
        self._url = f"{config.api_url.rstrip('/')}/2010-04-01/Accounts/{config.account_sid}/Calls.json"
        login = f"{config.account_sid}:{config.auth_token.get_secret_value()}".encode()
        self._headers = {
            "Authorization": f"Basic {base64.b64encode(login).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=connect_seconds)

    @property
    def name(self) -> str:
        return self._name

    async def place(self, call: PlaceCall) -> Answer:
        caller = self._config.callers.get(call.task.phone_number_id or "")
        if caller is None:
            return Refused(NO_CALLER, "no caller number is configured for the phoneNumberId", knows_us=False)
        body = urlencode(list(call_form(call, caller, self._config))).encode()
        return await post_once(self._http, self._url, body, self._headers, self._timeout, _answer)

    async def find(self, call_id: str, attempt: int) -> FoundCall | None:
        raise LookupFailedError("Twilio finds no call by an id of ours")


def call_form(call: PlaceCall, caller: str, config: TwilioConfig) -> Iterator[tuple[str, str]]:
    """The fields of the request that places the call."""
    task = call.task
    ids = {"orgId": task.org_id, "campaignId": task.campaign_id, "callId": task.call_id, "attempt": str(call.attempt)}
    yield "To", dialed_number(task.customer)
    yield "From", caller
    yield "Url", str(URL(config.url).update_query({**ids, task.target_field: task.target_id}))
    yield "Method", "POST"
    yield "TimeLimit", str(config.longest_call_seconds)
    yield "StatusCallback", call.callback_url
    yield "StatusCallbackMethod", "POST"
    for event in _EVENTS:
        yield "StatusCallbackEvent", event
    if config.machine_detection is not None:
        yield "MachineDetection", config.machine_detection


def _answer(status: int, content: bytes) -> Answer:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    said = answer if isinstance(answer, dict) else {}
    if status in (200, 201):
        sid = said.get("sid")
        return Placed(sid) if isinstance(sid, str) and _SID.fullmatch(sid) else Unknown(f"answered {status} without the call's id")
    code = said.get("code")
    if not 400 <= status < 500 or not isinstance(code, int):
        return said_by_status(status) or Refused(REFUSED, f"the provider answered {status}")
    # what it says beside its code may repeat the number
    error = f"the provider answered {status}, error {code}"
    if code in _REASONS:
        return Refused(_REASONS[code], error)
    return NotPlaced(error) if code in _ABOUT_US else said_by_status(status) or Refused(REFUSED, error)
