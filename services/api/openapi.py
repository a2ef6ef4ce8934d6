"""Owns the OpenAPI 3.1 document of the API: its components come from the models that validate, its paths from `openapi_paths`."""

from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from events.campaigns import AddedContacts, CampaignCopy, CampaignDraft, CampaignEdit, CampaignHead
from events.schemas import taken, written
from events.webhooks import WebhooksToReplay
from events.wire import Wire
from services.api.generations import V2
from services.api.openapi_answers import (
    Call,
    Campaign,
    CampaignContactPage,
    CampaignPage,
    CampaignSummary,
    CampaignSummaryPage,
    ContactResult,
    ContactsAdded,
    DeadWebhookPage,
    Readiness,
    Refusal,
    UploadedCampaign,
    WebhooksReplayed,
)
from services.api.openapi_paths import KEY_SCHEME, paths

_ANSWERS = (
    Campaign, UploadedCampaign, CampaignPage, CampaignSummary, CampaignSummaryPage, CampaignContactPage, ContactsAdded, ContactResult,
    Call, DeadWebhookPage, WebhooksReplayed, Refusal, Readiness,
)  # fmt: skip
_TAKEN_BY_GENERATION = (CampaignDraft, CampaignHead, CampaignCopy, CampaignEdit, AddedContacts)
_TAKEN = (*_TAKEN_BY_GENERATION, WebhooksToReplay)
_SCHEMAS = "#/components/schemas/"


async def get_openapi(request: web.Request) -> web.StreamResponse:
    return web.Response(body=_encoded(), content_type="application/json")


@cache
def _encoded() -> bytes:
    return orjson.dumps(openapi())


def openapi() -> dict[str, Any]:
    """The document; each call makes one of its own."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ringfold",
            "version": "0.1.0",
            "description": "Outbound call campaigns, wire-compatible with Vapi's: V1 under `/campaign`, V2 under `/v2/campaign`. "
            "A 2xx means that the command is durably in the log, and the answer shows its effect. "
            "An explicit null counts as absent; fields without a value are left out of answers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "campaigns", "description": "V1: campaigns whole."},
            {"name": "campaigns v2", "description": "V2: campaigns as summaries, and their contacts."},
            {"name": "calls", "description": "Calls by themselves."},
            {"name": "webhooks", "description": "Webhooks that were given up."},
            {"name": "operation", "description": "For those who run it, and for call providers."},
        ],
        "paths": deepcopy(paths()),
        "components": {
            "securitySchemes": {
                KEY_SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Your key; it decides the org, and its scopes what it may do.",
                }
            },
            "schemas": dict(sorted((_taken_components() | _written_components(_ANSWERS)).items())),
        },
    }


def _taken_components() -> dict[str, Any]:
    components: dict[str, Any] = {}
    for model in _TAKEN:
        schema = taken(model, _SCHEMAS + "{model}Input")
        components |= {f"{name}Input": part for name, part in schema.pop("$defs", {}).items()}
        components[model.__name__] = schema
        if model in _TAKEN_BY_GENERATION:
            fields = {name: field for name, field in schema["properties"].items() if name not in V2.refused_fields}
            components[f"{model.__name__}V2"] = schema | {"properties": fields, "title": f"{model.__name__}V2"}
    return components


def _written_components(models: Iterable[type[Wire]]) -> dict[str, Any]:
    components: dict[str, Any] = {}
    for model in models:
        schema = written(model, _SCHEMAS + "{model}")
        components |= schema.pop("$defs", {})
        components[model.__name__] = schema
    return components
