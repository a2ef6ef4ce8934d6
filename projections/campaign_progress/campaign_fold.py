"""Owns how a campaign's row follows from its own events; its counters follow from its calls (`tally`).

Each function changes the row in place and says whether the event changed anything. What a user can do and undo again
(edit, pause, resume) is taken only when it is newer than the last such event, so that a repeat changes nothing.
"""

from collections.abc import Callable
from typing import Any

import orjson

from events.campaigns import TARGETS, CampaignSpec
from projections.campaign_progress.rows import CampaignRow
from projections.campaign_progress.tally import clear
from projections.reading import LogEvent

SPEC_FIELDS = tuple(field.alias or name for name, field in CampaignSpec.model_fields.items())
_UNDER_WAY = frozenset({"scheduled", "in-progress"})


def created(event: LogEvent, data: dict[str, Any], campaign_id: str, partition: int) -> CampaignRow:
    """The row of a new campaign, still without contacts."""
    return CampaignRow(
        id=campaign_id,
        org_id=event.orgid,
        partition=partition,
        status="scheduled",
        ended_reason=None,
        paused=False,
        shown=False,
        complete=False,
        deleted=False,
        spec=_spec(data),
        has_dial_plan=data.get("hasDialPlan", False),
        parts=data.get("parts", 0),
        parts_received=0,
        contacts_due_at=data.get("contactsDueAt"),
        first_position=0,
        total=0,
        retry_until=None,
        created_at=event.time,
        updated_at=event.time,
        started_at=None,
        ended_at=None,
        edited_at=None,
        edited_by=None,
        version=1,
    )


def _spec(values: dict[str, Any]) -> str:
    return orjson.dumps({field: values[field] for field in SPEC_FIELDS if values.get(field) is not None}).decode()


def _completed(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    """Not by one that came before the edit which replaced the contacts that it completed."""
    if campaign.complete or event.time < (campaign.edited_at or ""):
        return False
    campaign.complete = campaign.shown = True
    campaign.contacts_due_at = None
    return True


def _started(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    if campaign.status != "scheduled":
        return False
    campaign.status = "in-progress"
    campaign.started_at = event.time
    return True


def _held_back(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    """The first hold, or a later one that began after the last had ended."""
    if campaign.retry_until is not None and data["retryUntil"] <= campaign.retry_until:
        return False
    campaign.retry_until = data["retryUntil"]
    return True


def _is_news(campaign: CampaignRow, event: LogEvent) -> bool:
    """Whether the edit comes after the last one that was taken; then it is the last one."""
    at, by = event.time, event.causationid
    if campaign.edited_at is not None and (at < campaign.edited_at or (at == campaign.edited_at and by == campaign.edited_by)):
        return False
    campaign.edited_at, campaign.edited_by = at, by
    return True


def _updated(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    if not _is_news(campaign, event):
        return False
    spec = orjson.loads(campaign.spec)
    if any(data.get(target) is not None for target in TARGETS):
        for target in TARGETS:
            spec.pop(target, None)
    if data.get("replacesContacts"):
        spec.pop("phoneNumberId", None)
        campaign.first_position = campaign.total
        campaign.complete = False
        clear(campaign)
    spec |= {field: data[field] for field in SPEC_FIELDS if data.get(field) is not None}
    campaign.spec = _spec(spec)
    if data.get("hasDialPlan") is not None:
        campaign.has_dial_plan = data["hasDialPlan"]
    return True


def _paused(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    return _set_paused(campaign, event, True)


def _resumed(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    return _set_paused(campaign, event, False)


def _set_paused(campaign: CampaignRow, event: LogEvent, paused: bool) -> bool:
    if campaign.status not in _UNDER_WAY or campaign.paused is paused or not _is_news(campaign, event):
        return False
    campaign.paused = paused
    return True


def _cancelled(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    return _over(campaign, event, data, "cancelled")


def _ended(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    return _over(campaign, event, data, "ended")


def _over(campaign: CampaignRow, event: LogEvent, data: dict[str, Any], status: str) -> bool:
    if campaign.status not in _UNDER_WAY:
        return False
    campaign.status = status
    campaign.ended_reason = data["endedReason"]
    campaign.ended_at = event.time
    campaign.paused = False
    return True


def _archived(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    if campaign.status == "archived":
        return False
    campaign.status = "archived"
    return True


def _deleted(campaign: CampaignRow, event: LogEvent, data: dict[str, Any]) -> bool:
    if campaign.deleted:
        return False
    campaign.deleted = True
    return True


CAMPAIGN_FOLDS: dict[str, Callable[[CampaignRow, LogEvent, dict[str, Any]], bool]] = {
    "ContactsCompleted.v1": _completed,
    "CampaignStarted.v1": _started,
    "CampaignHeldBack.v1": _held_back,
    "CampaignUpdated.v1": _updated,
    "CampaignPaused.v1": _paused,
    "CampaignResumed.v1": _resumed,
    "CampaignCancelled.v1": _cancelled,
    "CampaignEnded.v1": _ended,
    "CampaignArchived.v1": _archived,
    "CampaignDeleted.v1": _deleted,
}
