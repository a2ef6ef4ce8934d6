"""Owns what a campaign's summary on `campaign-state` says: the contract's `CampaignSummary` with its counters, as of one version."""

from typing import Any

import orjson

from projections.campaign_progress.rows import CampaignRow

_OPTIONAL = {"endedReason": "ended_reason", "startedAt": "started_at", "endedAt": "ended_at"}
_CALL_COUNTERS = {
    "callsCounterScheduled": "calls_scheduled",
    "callsCounterQueued": "calls_queued",
    "callsCounterInProgress": "calls_in_progress",
    "callsCounterEnded": "calls_ended",
    "callsCounterEndedVoicemail": "calls_ended_voicemail",
}
_CONTACT_COUNTERS = {
    "pending": "contacts_pending",
    "dispatched": "contacts_dispatched",
    "completed": "contacts_completed",
    "failed": "contacts_failed",
    "skipped": "contacts_skipped",
    "predialFailed": "contacts_predial_failed",
}
_LARGE = ("assistantOverrides", "squadOverrides", "server")
SUMMARY_COLUMNS = (
    *("id", "org_id", "status", "paused", "deleted", "spec", "version", "dialed", "connected", "created_at", "updated_at"),
    *_OPTIONAL.values(),
    *_CALL_COUNTERS.values(),
    *_CONTACT_COUNTERS.values(),
)
"""What a summary is made of: campaigns that are equal in these have the same."""
_LONGEST_NAME = 1_000
"""In characters, where the summary is too large even without those."""


def summary(campaign: CampaignRow, max_bytes: int) -> bytes | None:
    """The JSON of the summary; `None`, a tombstone, for a deleted campaign.

    `version` grows with every change, so that a reader can tell the newer of two. What a user may make as large as a
    whole command is left out where the record would grow beyond `max_bytes`: a record that is too large is never told.
    """
    if campaign.deleted:
        return None
    whole = _summary(campaign)
    value = orjson.dumps(whole)
    if len(value) > max_bytes:
        lean = {name: field for name, field in whole.items() if name not in _LARGE}
        value = orjson.dumps(lean)
        if len(value) > max_bytes:
            lean.pop("serverMessages", None)
            value = orjson.dumps(lean | {"name": lean["name"][:_LONGEST_NAME]})
    return value


def _summary(campaign: CampaignRow) -> dict[str, Any]:
    found: dict[str, Any] = {"id": campaign.id, "orgId": campaign.org_id, "status": campaign.status, "version": campaign.version}
    found |= {name: getattr(campaign, column) for name, column in _OPTIONAL.items() if getattr(campaign, column) is not None}
    if campaign.paused:
        found["paused"] = True
    found |= orjson.loads(campaign.spec)
    found |= {name: getattr(campaign, column) for name, column in _CALL_COUNTERS.items()}
    found["contactCounters"] = {name: getattr(campaign, column) for name, column in _CONTACT_COUNTERS.items()}
    found["callMetrics"] = {"dialed": campaign.dialed, "connected": campaign.connected}
    found |= {"createdAt": campaign.created_at, "updatedAt": campaign.updated_at}
    return found
