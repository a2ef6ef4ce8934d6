"""Owns what schemathesis can not know from a schema: which bodies make a campaign, so that half of those it tries get past validation."""

import zlib
from typing import Any

import schemathesis

_CREATES = ("POST /campaign", "POST /v2/campaign")
_ADDS = ("POST /campaign/{id}/contacts", "POST /v2/campaign/{id}/contacts")
_EDITS = ("PATCH /campaign/{id}", "PATCH /v2/campaign/{id}")
_CUSTOMERS = [{"number": "+14155550100", "name": "Ann"}, {"number": "+14155550101"}]
_KEPT = ("name", "assistantOverrides", "serverMessages")
_LATER = {"schedulePlan": {"earliestAt": "2035-01-01T00:00:00Z"}}


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Every second body is made valid; which one follows from the body, so that a seed gives the same run again."""
    label = context.operation.label
    draw = zlib.crc32(repr(body).encode()) if isinstance(body, dict) else 0
    if not draw & 1:
        return body
    if label in _CREATES and isinstance(body.get("name"), str):
        campaign = {field: body[field] for field in _KEPT if field in body} | (_LATER if draw & 2 else {})
        return campaign | {"assistantId": "a-1", "phoneNumberId": "p-1", "customers": _CUSTOMERS}
    if label in _ADDS:
        return {"customers": _CUSTOMERS}
    if label in _EDITS:
        return {field: body[field] for field in ("name", "status") if field in body}
    return body
