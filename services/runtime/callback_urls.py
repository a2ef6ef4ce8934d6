"""Owns the URLs that providers call back: they name org, campaign, call and attempt, and carry an HMAC over them (design, "Dialing")."""

import base64
import hashlib
import hmac
import re
from urllib.parse import quote

CALLBACK_ROUTE = "/provider-callbacks/{org:[^/]+}/{campaign}/{call}/{attempt}/{mac}"
"""As aiohttp writes routes; it hands the parts over unquoted, as `verify` wants them."""
TWILIO_CALLBACK_ROUTE = "/provider-callbacks/twilio/{provider}/{org:[^/]+}/{campaign}/{call}/{attempt}/{mac}"
"""It names the provider beside, since each signs with a token of its own."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def callback_url(base: str, secret: bytes, org: str, campaign: str, call: str, attempt: int) -> str:
    """The URL under `base`, the API's address as the provider reaches it."""
    return _url(base, secret, (), (org, campaign, call, str(attempt)))


def twilio_callback_url(base: str, secret: bytes, provider: str, org: str, campaign: str, call: str, attempt: int) -> str:
    """The same for the Twilio provider of this name."""
    return _url(base, secret, ("twilio", provider), (org, campaign, call, str(attempt)))


def verify(secret: bytes, org: str, campaign: str, call: str, attempt: str, mac: str) -> bool:
    """Whether the MAC is ours for exactly these parts; constant time."""
    return _is_ours(secret, (org, campaign, call, attempt), mac)


def verify_twilio(secret: bytes, provider: str, org: str, campaign: str, call: str, attempt: str, mac: str) -> bool:
    """The same for a URL of `twilio_callback_url`."""
    return _is_ours(secret, ("twilio", provider, org, campaign, call, attempt), mac)


def _url(base: str, secret: bytes, kind: tuple[str, ...], parts: tuple[str, ...]) -> str:
    quoted = [quote(part, safe="") for part in (*kind, *parts, _mac(secret, *kind, *parts))]
    return "/".join([base.rstrip("/"), "provider-callbacks", *quoted])


def _is_ours(secret: bytes, parts: tuple[str, ...], mac: str) -> bool:
    # a part that holds a line break may be several of another kind of URL
    if any(_CONTROL.search(part) for part in parts):
        return False
    return hmac.compare_digest(_mac(secret, *parts).encode(), mac.encode("utf-8", "surrogateescape"))


def _mac(secret: bytes, *parts: str) -> str:
    # no part that is ours holds a line break, so no two lists of parts read the same
    digest = hmac.digest(secret, "\n".join(parts).encode("utf-8", "surrogateescape"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
