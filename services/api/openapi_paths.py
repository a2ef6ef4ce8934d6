"""Owns the paths of the OpenAPI document: every route, its parameters, its statuses, and what each answers."""

from http import HTTPStatus
from typing import Any

from services.api.generations import V1, V2, Generation
from services.api.openapi_parameters import (
    BAD_LINES_PARAMETER,
    CALLBACK_PARAMETERS,
    CONTACT_LIST,
    DEAD_WEBHOOKS,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    INCLUDE_COUNTERS,
    LIST,
    NEWEST_CALLS,
    RESULTS_FORMAT,
    TWILIO_CALLBACK_PARAMETERS,
    identified,
)
from services.api.upload_writes import CAMPAIGN_PART, CUSTOMERS_PART

KEY_SCHEME = "key"
_READING = (HTTPStatus.SERVICE_UNAVAILABLE,)
_WITH_BODY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_DRAFT = {"name": "Spring", "assistantId": "asst-1", "phoneNumberId": "pn-1", "customers": [{"number": "+14155550101", "name": "Ada"}]}
_EDIT = {"name": "Summer"}
_ETAG = {"ETag": {"description": "Names what is answered, for `If-None-Match`.", "schema": {"type": "string"}}}
_CSV = {"type": "string", "description": "A CSV whose header names `number`, maybe `name`, and any variables"}
_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "The request breaks a rule, or the campaign's state forbids it: one message for each broken rule.",
    HTTPStatus.UNAUTHORIZED: "No key, or none that is valid.",
    HTTPStatus.FORBIDDEN: "The key lacks the scope: `read` for GET, `write` for all else. A callback: it was not asked for.",
    HTTPStatus.NOT_FOUND: "Unknown here, or of another org.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not come in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body, or one contact in it, is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not declared as what is taken here.",
    HTTPStatus.TOO_MANY_REQUESTS: "The key, or its org, asks too often; nothing was done.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The log, or the read model, can not take the request now; the same request, repeated, joins this one.",
}


def paths() -> dict[str, Any]:
    return {
        **_campaign_paths(V1, "campaigns", "V1"),
        **_campaign_paths(V2, "campaigns v2", "V2"),
        "/call": {
            "get": _keyed("listCalls", "calls", "List the newest calls of a campaign", ["Call"], 404, parameters=NEWEST_CALLS),
        },
        "/call/{id}": {"get": _keyed("getCall", "calls", "Get a call", "Call", 404, parameters=identified("call"), bad_request=False)},
        "/webhooks/dead": {
            "get": _keyed(
                "listDeadWebhooks", "webhooks", "List the webhooks that were given up", "DeadWebhookPage", parameters=DEAD_WEBHOOKS
            )
        },
        "/webhooks/dead/replay": {"post": _replay()},
        "/provider-callbacks/{org}/{campaign}/{call}/{attempt}/{mac}": {"post": _callback()},
        "/provider-callbacks/twilio/{provider}/{org}/{campaign}/{call}/{attempt}/{mac}": {"post": _twilio_callback()},
        "/health/live": {"get": _open("isLive", "Whether the process lives", {200: _json("It lives.", {"$ref": _component("Readiness")})})},
        "/health/ready": {
            "get": _open(
                "isReady",
                "Whether the process can do its work",
                {
                    200: _json("It can.", {"$ref": _component("Readiness")}),
                    503: _json("It can not now; `missing` says why.", {"$ref": _component("Readiness")}),
                },
            )
        },
        "/metrics": {"get": _open("getMetrics", "Metrics in Prometheus' text format", {200: _text("The metrics.", "text/plain")})},
        "/openapi.json": {"get": _open("getOpenapi", "This document", {200: _json("The document.", {"type": "object"})})},
        "/docs": {"get": _open("getDocs", "A page to try the API", {200: _text("The page.", "text/html")})},
    }


def _campaign_paths(generation: Generation, tag: str, suffix: str) -> dict[str, Any]:
    page, shown = ("CampaignSummaryPage", "CampaignSummary") if generation.summarises else ("CampaignPage", "Campaign")
    models = "V2" if generation is V2 else ""
    one = identified("campaign")
    get_parameters = [*one, INCLUDE_COUNTERS, IF_NONE_MATCH] if generation.summarises else one
    list_parameters = [*LIST, INCLUDE_COUNTERS] if generation.summarises else LIST
    writing = [*one, IDEMPOTENCY_KEY]
    removed = "Cancel a campaign if it is active, then archive it" if generation is V2 else "End a campaign if it is active, then remove it"
    get = _keyed(
        f"getCampaign{suffix}",
        tag,
        "Get a campaign",
        shown,
        404,
        parameters=get_parameters,
        bad_request=generation.summarises,
    )
    if generation.summarises:
        get["responses"] |= {"304": {"description": "The client holds just this, as its `If-None-Match` says.", "headers": _ETAG}}
        get["responses"]["200"]["headers"] = _ETAG
    create = _keyed(
        f"createCampaign{suffix}",
        tag,
        "Create a campaign; with its contacts as a CSV, or, in V2, as a copy of another",
        "Campaign",
        *_WITH_BODY,
        *([404] if generation.copies else []),
        success=201,
        parameters=[BAD_LINES_PARAMETER, IDEMPOTENCY_KEY],
    )
    create["responses"]["201"] = _json("Created", {"anyOf": [{"$ref": _component("Campaign")}, {"$ref": _component("UploadedCampaign")}]})
    update = _keyed(f"updateCampaign{suffix}", tag, "Edit or stop a campaign", "Campaign", 404, *_WITH_BODY, parameters=writing)
    return {
        generation.prefix: {
            "post": create | {"requestBody": _creation(generation, models)},
            "get": _keyed(f"listCampaigns{suffix}", tag, "List campaigns", page, parameters=list_parameters),
        },
        f"{generation.prefix}/{{id}}": {
            "get": get,
            "patch": update | {"requestBody": _body(f"CampaignEdit{models}", _EDIT)},
            "delete": _keyed(f"deleteCampaign{suffix}", tag, removed, "Campaign", 404, parameters=writing),
        },
        f"{generation.prefix}/{{id}}/contacts": _contacts(generation, tag, suffix),
        f"{generation.prefix}/{{id}}/results": {"get": _results(tag, suffix)},
    }


def _creation(generation: Generation, models: str) -> dict[str, Any]:
    body = _body(f"CampaignDraft{models}", _DRAFT)
    if generation.copies:
        json = body["content"]["application/json"]
        json["schema"] = {"anyOf": [json["schema"], {"$ref": _component(f"CampaignCopy{models}")}]}
    form = {
        "type": "object",
        "properties": {CAMPAIGN_PART: {"$ref": _component(f"CampaignHead{models}")}, CUSTOMERS_PART: _CSV},
        "required": [CAMPAIGN_PART, CUSTOMERS_PART],
        "additionalProperties": False,
    }
    types = {CAMPAIGN_PART: {"contentType": "application/json"}, CUSTOMERS_PART: {"contentType": "text/csv"}}
    body["content"]["multipart/form-data"] = {"schema": form, "encoding": types}
    return body


def _contacts(generation: Generation, tag: str, suffix: str) -> dict[str, Any]:
    parameters = [*identified("campaign"), BAD_LINES_PARAMETER, IDEMPOTENCY_KEY]
    summary = "Add contacts to a campaign that is not over"
    add = _keyed(f"addContacts{suffix}", tag, summary, "ContactsAdded", 404, *_WITH_BODY, success=201, parameters=parameters)
    body = _body("AddedContacts", {"customers": _DRAFT["customers"]})
    body["content"]["text/csv"] = {"schema": _CSV, "example": "number,name,city\n+14155550101,Ada,London\n"}
    operations = {"post": add | {"requestBody": body}}
    if generation.summarises:
        listed = _keyed(f"listContacts{suffix}", tag, "List a campaign's contacts", "CampaignContactPage", 404, parameters=CONTACT_LIST)
        operations["get"] = listed
    return operations


def _results(tag: str, suffix: str) -> dict[str, Any]:
    summary = "Download what became of a campaign's contacts"
    parameters = [*identified("campaign"), RESULTS_FORMAT]
    results = _keyed(f"getResults{suffix}", tag, summary, "ContactResult", 404, parameters=parameters)
    ndjson = {"type": "string", "description": f"On each line a `{_component('ContactResult')}`"}
    content = {"text/csv": {"schema": {"type": "string"}}, "application/x-ndjson": {"schema": ndjson}}
    results["responses"]["200"] = {"description": "Every contact, in order, a line each.", "content": content}
    return results


def _replay() -> dict[str, Any]:
    summary = "Send webhooks that were given up again, under the same ids"
    replay = _keyed("replayDeadWebhooks", "webhooks", summary, "WebhooksReplayed", *_WITH_BODY, success=201, parameters=[IDEMPOTENCY_KEY])
    return replay | {"requestBody": _body("WebhooksToReplay", {"all": True})}


def _keyed(
    operation_id: str,
    tag: str,
    summary: str,
    answer: str | list[str],
    *refusals: int,
    success: int = 200,
    parameters: list[dict[str, Any]],
    bad_request: bool = True,
) -> dict[str, Any]:
    """An operation for requests with a key; `answer` in brackets is an array of it."""
    schema = {"$ref": _component(answer)} if isinstance(answer, str) else {"type": "array", "items": {"$ref": _component(answer[0])}}
    refused = sorted({*refusals, *([400] if bad_request else []), 401, 403, 429, *_READING})
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "security": [{KEY_SCHEME: []}],
        "parameters": parameters,
        "responses": {str(success): _json(HTTPStatus(success).phrase, schema)} | _refusals(refused),
    }


def _callback() -> dict[str, Any]:
    return {
        "operationId": "receiveCallback",
        "tags": ["operation"],
        "summary": "What a call provider reports of a call; the URL given to it authenticates it",
        "security": [],
        "parameters": CALLBACK_PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {"200": _json("The report is durable, or says nothing that is known.", {"type": "object"})}
        | _refusals([400, 403, 408, 413, 503]),
    }


def _twilio_callback() -> dict[str, Any]:
    form = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
    return _callback() | {
        "operationId": "receiveTwilioCallback",
        "summary": "What Twilio reports of a call; the URL given to it and its signature authenticate it",
        "parameters": TWILIO_CALLBACK_PARAMETERS,
        "requestBody": {"required": True, "content": form},
    }


def _open(operation_id: str, summary: str, responses: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """An operation that needs no key."""
    answers = {str(status): response for status, response in responses.items()}
    return {"operationId": operation_id, "tags": ["operation"], "summary": summary, "security": [], "responses": answers}


def _refusals(statuses: list[int]) -> dict[str, Any]:
    return {str(int(status)): _refusal(HTTPStatus(status)) for status in statuses}


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    response = _json(_MEANINGS[status], {"$ref": _component("Refusal")})
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return response


def _body(component: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": {"$ref": _component(component)}, "example": example}}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(description: str, content_type: str) -> dict[str, Any]:
    return {"description": description, "content": {content_type: {"schema": {"type": "string"}}}}


def _component(name: str) -> str:
    return f"#/components/schemas/{name}"
