"""Owns what the API's answers look like: campaigns, summaries, calls and contacts as JSON; fields without a value are left out."""

from collections.abc import Iterable
from typing import Any

import orjson

from events.contacts import dialed_number
from projections.campaign_progress.rows import CampaignRow
from projections.queries.views import CallDetail, CallView

_V2_ABSENT = frozenset({"workflowId", "dialPlan"})


def campaign_fields(row: CampaignRow) -> dict[str, Any]:
    """The whole campaign but `customers`, `dialPlan` and `calls`."""
    return _identity(row) | {
        **orjson.loads(row.spec),
        "callsCounterScheduled": row.calls_scheduled,
        "callsCounterQueued": row.calls_queued,
        "callsCounterInProgress": row.calls_in_progress,
        "callsCounterEnded": row.calls_ended,
        "callsCounterEndedVoicemail": row.calls_ended_voicemail,
    }


def listed_campaign(row: CampaignRow) -> dict[str, Any]:
    """A campaign in V1's list: `calls` is empty, `customers` and `dialPlan` are left out."""
    return campaign_fields(row) | {"calls": {}}


def campaign_summary(row: CampaignRow, counters: bool) -> dict[str, Any]:
    """V2's `CampaignSummary`."""
    spec = {field: value for field, value in orjson.loads(row.spec).items() if field not in _V2_ABSENT}
    summary = _identity(row) | spec
    if counters:
        summary["contactCounters"] = {
            "pending": row.contacts_pending,
            "dispatched": row.contacts_dispatched,
            "completed": row.contacts_completed,
            "failed": row.contacts_failed,
            "skipped": row.contacts_skipped,
            "predialFailed": row.contacts_predial_failed,
        }
        summary["callMetrics"] = {"dialed": row.dialed, "connected": row.connected}
    return summary


def _identity(row: CampaignRow) -> dict[str, Any]:
    return _present(
        {
            "id": row.id,
            "orgId": row.org_id,
            "status": row.status,
            "endedReason": row.ended_reason,
            "paused": row.paused or None,
            "createdAt": row.created_at,
            "updatedAt": row.updated_at,
        }
    )


def campaign_call(call: CallView) -> bytes:
    """A value of the map `calls`."""
    return orjson.dumps(_present(_call_fields(call)))


def _call_fields(call: CallView) -> dict[str, Any]:
    return {
        "id": call.id,
        "customer": orjson.Fragment(call.customer),
        "status": call.status,
        "endedReason": call.ended_reason,
        "startedAt": call.started_at,
        "endedAt": call.ended_at,
        "analysis": None if call.analysis is None else orjson.Fragment(call.analysis),
    }


def campaign_ids(campaign: CampaignRow) -> dict[str, Any]:
    """What calls by themselves tell of their campaign; read once for all of them, since a campaign may be large."""
    spec = orjson.loads(campaign.spec)
    return {field: spec.get(field) for field in ("assistantId", "workflowId", "squadId", "phoneNumberId")}


def call_by_itself(detail: CallDetail, ids: dict[str, Any]) -> dict[str, Any]:
    """What `GET /call/{id}` answers (contract, "Calls by themselves"); `ids` are the `campaign_ids`."""
    call, campaign = detail
    return _present(
        {
            "orgId": campaign.org_id,
            "campaignId": campaign.id,
            "type": "outboundPhoneCall",
            "createdAt": call.created_at,
            "updatedAt": call.updated_at,
            **_call_fields(call),
            **ids,
            "phoneNumberId": ids["phoneNumberId"] or call.phone_number_id,
            "cost": call.cost,
        }
    )


def contact(call: CallView) -> dict[str, Any]:
    """An item of `GET /v2/campaign/{id}/contacts`; a contact has the id of its call, which is named once it was dispatched."""
    customer = orjson.loads(call.customer)
    return _present(
        {
            "id": call.id,
            "number": dialed_number(customer),
            "name": customer.get("name"),
            "status": call.contact_status,
            "callId": call.id if call.dispatched_at is not None else None,
            "dispatchedAt": call.dispatched_at,
            "endedReason": call.ended_reason,
        }
    )


def contact_result(call: CallView) -> dict[str, Any]:
    """A line of a campaign's results: the contact, its call, and the customer as it was given."""
    return contact(call) | _present(
        {
            "customer": orjson.loads(call.customer),
            "callStatus": call.status,
            "startedAt": call.started_at,
            "endedAt": call.ended_at,
            "cost": call.cost,
            "analysis": None if call.analysis is None else orjson.loads(call.analysis),
        }
    )


def page_of(results: Iterable[Any], total: int, page: int, limit: int, sort_order: str) -> dict[str, Any]:
    """One page with its `metadata`."""
    return {
        "results": list(results),
        "metadata": {
            "itemsPerPage": limit,
            "totalItems": total,
            "currentPage": page,
            "totalPages": -(-total // limit),
            "hasNextPage": page * limit < total,
            "sortOrder": sort_order,
        },
    }


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value is not None}
