"""Owns how the OpenAPI document tells of parameters; `query_parameters` reads them."""

from typing import Any

from projections.queries.contact_lists import CONTACT_STATUSES
from services.api.query_parameters import CAMPAIGN_STATUSES, MAX_LIMIT
from services.api.request_identity import MAX_KEY_CHARACTERS
from services.api.upload_writes import BAD_LINES


def _query(name: str, description: str, schema: dict[str, Any], required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _path(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def identified(kind: str) -> list[dict[str, Any]]:
    """The id in the path; one that is no UUID is answered as an unknown one."""
    return [_path("id", f"The {kind}'s id", {"type": "string", "minLength": 1})]


def _bounds(field: str) -> list[dict[str, Any]]:
    words = {"Gt": "after", "Lt": "before", "Ge": "at or after", "Le": "at or before"}
    return [_query(f"{field}{suffix}", f"`{field}` {word}", {"type": "string", "format": "date-time"}) for suffix, word in words.items()]


def _limit(default: int) -> dict[str, Any]:
    return _query("limit", "How many items", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": default})


_PAGE = _query("page", "Which page, counted from 1", {"type": "integer", "minimum": 1, "maximum": 10**12, "default": 1})

LIST: list[dict[str, Any]] = [
    _query("id", "The campaign with this id alone", {"type": "string"}),
    _query("status", "Campaigns of this status; archived ones show only here", {"type": "string", "enum": list(CAMPAIGN_STATUSES)}),
    _PAGE,
    _limit(100),
    _query("sortOrder", "", {"type": "string", "enum": ["ASC", "DESC"], "default": "DESC"}),
    _query("sortBy", "", {"type": "string", "enum": ["createdAt", "duration", "cost"], "default": "createdAt"}),
    *_bounds("createdAt"),
    *_bounds("updatedAt"),
]
INCLUDE_COUNTERS = _query("includeCounters", "Add `contactCounters` and `callMetrics`", {"type": "boolean", "default": False})
CONTACT_LIST: list[dict[str, Any]] = [
    *identified("campaign"),
    _query("status", "Contacts of these statuses; may be repeated", {"type": "array", "items": {"enum": list(CONTACT_STATUSES)}}),
    _PAGE,
    _limit(50),
    _query("sortBy", "", {"type": "string", "enum": ["position", "status"], "default": "position"}),
]
NEWEST_CALLS: list[dict[str, Any]] = [
    _query("campaignId", "The campaign whose calls are asked for", {"type": "string", "minLength": 1}, required=True),
    _limit(100),
]
DEAD_WEBHOOKS: list[dict[str, Any]] = [
    _query("campaignId", "Of this campaign alone", {"type": "string"}),
    _PAGE,
    _limit(100),
    _query("sortOrder", "By when they died", {"type": "string", "enum": ["ASC", "DESC"], "default": "DESC"}),
]
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request is carried out once and answered the same; with another request it is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS, "pattern": "^[ -~]+$"},
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an earlier answer: where nothing has changed since, the answer is 304 without a body.",
    "schema": {"type": "string"},
}
BAD_LINES_PARAMETER = _query(
    "badLines",
    "What becomes of a CSV some lines of which can not be taken: `reject` takes nothing and answers 400, `skip` takes the good lines",
    {"type": "string", "enum": list(BAD_LINES), "default": "reject"},
)
RESULTS_FORMAT = _query("format", "", {"type": "string", "enum": ["csv", "ndjson"], "default": "csv"})
CALLBACK_PARAMETERS: list[dict[str, Any]] = [
    _path("org", "The org", {"type": "string"}),
    _path("campaign", "The campaign's id", {"type": "string"}),
    _path("call", "The call's id", {"type": "string"}),
    _path("attempt", "Which attempt, counted from 1", {"type": "string"}),
    _path("mac", "The HMAC over all of these", {"type": "string"}),
]
TWILIO_CALLBACK_PARAMETERS: list[dict[str, Any]] = [
    _path("provider", "The provider's name", {"type": "string"}),
    *CALLBACK_PARAMETERS,
    {
        "name": "X-Twilio-Signature",
        "in": "header",
        "required": True,
        "description": "Twilio's HMAC over the URL and the form",
        "schema": {"type": "string"},
    },
]
