"""Owns the URL that a provider calls back: it names org, campaign, call and attempt, and carries an HMAC over them (design, "Dialing")."""

import base64
import hashlib
import hmac
from urllib.parse import quote

CALLBACK_ROUTE = "/provider-callbacks/{org:[^/]+}/{campaign}/{call}/{attempt}/{mac}"
"""As aiohttp writes routes; it hands the parts over unquoted, as `verify` wants them."""


def callback_url(base: str, secret: bytes, org: str, campaign: str, call: str, attempt: int) -> str:
    """The URL under `base`, the API's address as the provider reaches it."""
    parts = (org, campaign, call, str(attempt))
    quoted = [quote(part, safe="") for part in (*parts, _mac(secret, *parts))]
    return "/".join([base.rstrip("/"), "provider-callbacks", *quoted])


def verify(secret: bytes, org: str, campaign: str, call: str, attempt: str, mac: str) -> bool:
    """Whether the MAC is ours for exactly these parts; constant time."""
    return hmac.compare_digest(_mac(secret, org, campaign, call, attempt).encode(), mac.encode("utf-8", "surrogateescape"))


def _mac(secret: bytes, *parts: str) -> str:
    # no part holds a line break, so no two lists of parts read the same
    digest = hmac.digest(secret, "\n".join(parts).encode("utf-8", "surrogateescape"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
