"""Owns how a status callback of Twilio's is authenticated and read (https://www.twilio.com/docs/usage/security)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from events.calls import VOICEMAIL
from events.commands import ReportCall
from events.instants import to_millisecond
from services.api.errors import InvalidRequestError

Fields = Sequence[tuple[str, str]]

_MAX_FIELDS = 200
_SID = re.compile(r"CA[0-9a-f]{32}")
_MOVES: Mapping[str, Literal["ringing", "in-progress"]] = {"ringing": "ringing", "in-progress": "in-progress"}
_ENDS = {
    "completed": "customer-ended-call",
    "busy": "customer-busy",
    "no-answer": "customer-did-not-answer",
    "failed": "twilio-failed-to-connect-call",
    "canceled": "manually-canceled",
}
"""Twilio does not say who hung up."""
_MISDIALED = "twilio-reported-customer-misdialed"
_MISDIALED_ERRORS = frozenset({"13223", "13224", "21211", "21217"})
_MISDIALED_SIP_ANSWERS = frozenset({"404", "484", "604"})
"""Not found, address incomplete, does not exist anywhere (RFC 3261, 21)."""


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """Raises `InvalidRequestError`."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequestError("the body must be a form: application/x-www-form-urlencoded, of at most 200 fields") from error


def is_signed(signature: str, auth_token: str, url: str, fields: Fields) -> bool:
    """Whether Twilio signed this, with the account's token, for the URL that we gave it; constant time.

    Twilio leaves out the port of some URLs and adds it to others, so both spellings are taken.
    """
    given = signature.encode("utf-8", "surrogateescape")
    text = "".join(name + value for name, value in sorted(set(fields)))
    right = [hmac.compare_digest(given, _signature(auth_token, spelled + text)) for spelled in _spellings(url)]
    return any(right)


def _signature(auth_token: str, text: str) -> bytes:
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha1))


def _spellings(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port}").geturl()


def read_twilio_report(attempt: int, provider: str, fields: Fields) -> ReportCall | None:
    """The report; `None` where the status is one before the ringing, or one that we do not know."""
    said = dict(fields)
    status, at, sid = said.get("CallStatus", ""), _instant(said.get("Timestamp", "")), said.get("CallSid", "")
    provider_call_id = sid if _SID.fullmatch(sid) else None
    shared: dict[str, Any] = {"attempt": attempt, "provider": provider, "provider_call_id": provider_call_id}
    if status in _MOVES:
        return ReportCall(**shared, status=_MOVES[status], started_at=at if status == "in-progress" else None)
    if status in _ENDS:
        return ReportCall(**shared, status="ended", final=True, ended_reason=_ended_reason(status, said), ended_at=at)
    return None


def _ended_reason(status: str, said: Mapping[str, str]) -> str:
    if status == "completed" and said.get("AnsweredBy", "").startswith(("machine_", "fax")):
        return VOICEMAIL
    misdialed = said.get("ErrorCode") in _MISDIALED_ERRORS or said.get("SipResponseCode") in _MISDIALED_SIP_ANSWERS
    return _MISDIALED if status == "failed" and misdialed else _ENDS[status]


def _instant(text: str) -> datetime | None:
    """RFC 2822, as Twilio writes it."""
    try:
        instant = parsedate_to_datetime(text)
        return to_millisecond(instant) if instant.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None
