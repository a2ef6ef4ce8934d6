"""Owns how a webhook proves that it comes from us: Standard Webhooks (https://www.standardwebhooks.com), a secret for each org."""

import base64
import hashlib
import hmac

_PREFIX = "whsec_"


def org_secret(master: bytes, org_id: str) -> str:
    """The org's secret as its receiver is given it; it follows from the master secret, so it is stored nowhere."""
    key = hmac.digest(master, f"webhooks\n{org_id}".encode(), hashlib.sha256)
    return _PREFIX + base64.b64encode(key).decode()


def signature_headers(secret: str, message_id: str, timestamp_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers; `timestamp_seconds` is that of the attempt, so that a receiver can refuse what was recorded long ago."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{timestamp_seconds}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp_seconds), "webhook-signature": f"v1,{signature}"}
