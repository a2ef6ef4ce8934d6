"""Owns which fact is told to a customer's server and in which words (contract, "Webhooks to the customer's `server.url`"); pure.

What is told, its id and its number follow from the log alone: reading the log again says the same with the same ids.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

import orjson

from events.calls import NOT_ELIGIBLE, PREDIAL_FAILED, contact_after
from events.envelope import EventRecord
from events.facts import FACTS
from events.instants import parse_instant

NAMES = frozenset(
    {
        "campaign.started",
        "campaign.ended",
        "campaign.cancelled",
        "campaign.archived",
        "contact.dispatched",
        "contact.completed",
        "contact.failed",
        "contact.skipped",
        "contact.predial-failed",
    }
)
_NAMESPACE = UUID("0c6f5a52-93b4-5f0e-8a6d-5a4f0f6b7d11")


@dataclass(slots=True)
class KnownCampaign:
    """A campaign whose server wants to be told.

    `names` are those that may still come; without any the campaign is of no further use. `announced`: its contacts are complete;
    `sequence`: how often it was told of.
    """

    id: str
    org_id: str
    server: dict[str, Any]
    names: frozenset[str]
    announced: bool = False
    sequence: int = 0


@dataclass(slots=True)
class KnownCall:
    """A call that was dispatched and is not over. `decided`: pre-dial already said what becomes of its contact."""

    id: str
    campaign_id: str
    in_progress: bool = False
    decided: bool = False


@dataclass(slots=True)
class Known:
    """What was learned from the log so far, as far as the events at hand need it; `changed_*` name what they changed."""

    campaigns: dict[str, KnownCampaign] = field(default_factory=dict)
    calls: dict[str, KnownCall] = field(default_factory=dict)
    changed_campaigns: set[str] = field(default_factory=set)
    changed_calls: set[str] = field(default_factory=set)
    """Those that are not in `calls` any more are over."""


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """`id` is UUIDv5 of the event's id and the name; `sequence` counts from 1 within the campaign; `body` is what is sent."""

    id: str
    org_id: str
    campaign_id: str
    sequence: int
    name: str
    body: bytes


Said = tuple[str, dict[str, Any]] | None


def message_of(known: Known, event: EventRecord) -> WebhookMessage | None:
    """Learn from the event, changing `known` in place, and say what is to be told of it. Events come in the log's order, each once."""
    campaign_id = event.get("subject", "")
    if event["type"] == "CampaignCreated.v1":
        _created(known, event, campaign_id)
        return None
    campaign, say = known.campaigns.get(campaign_id), _SAY.get(event["type"])
    if campaign is None or say is None:
        return None
    names = campaign.names
    said = say(known, campaign, event.get("callid", ""), event["data"])
    if said is None or not campaign.announced or said[0] not in names:
        return None
    campaign.sequence += 1
    known.changed_campaigns.add(campaign.id)
    return _message(campaign, event, *said)


def _message(campaign: KnownCampaign, event: EventRecord, name: str, data: dict[str, Any]) -> WebhookMessage:
    message = {
        "type": "campaign.event",
        "timestamp": int(parse_instant(event["time"]).timestamp() * 1000),
        "campaignId": campaign.id,
        "eventType": name,
        "data": data,
    }
    message_id = str(uuid5(_NAMESPACE, f"{event['id']}\n{name}"))
    return WebhookMessage(message_id, campaign.org_id, campaign.id, campaign.sequence, name, orjson.dumps({"message": message}))


def _created(known: Known, event: EventRecord, campaign_id: str) -> None:
    server, names = event["data"].get("server") or {}, NAMES.intersection(event["data"].get("serverMessages") or ())
    if server.get("url") and names:
        known.campaigns[campaign_id] = KnownCampaign(campaign_id, event["orgid"], server, names)
        known.changed_campaigns.add(campaign_id)


def _completed(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    """A campaign whose contacts never all came is not told of: nobody was told that it exists."""
    campaign.announced = True
    known.changed_campaigns.add(campaign.id)
    return None


def _queued(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    """Told of once, however often the call is offered."""
    if call_id in known.calls:
        return None
    known.calls[call_id] = KnownCall(call_id, campaign.id)
    known.changed_calls.add(call_id)
    return "contact.dispatched", {"contactId": call_id}


def _picked_up(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    call = known.calls.setdefault(call_id, KnownCall(call_id, campaign.id))
    call.in_progress = True
    known.changed_calls.add(call_id)
    return None


def _skipped(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    _decide(known, campaign, call_id)
    return "contact.skipped", {"contactId": call_id}


def _predial_failed(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    _decide(known, campaign, call_id)
    return "contact.predial-failed", {"contactId": call_id, "error": data.get("error") or "pre-dial failed"}


def _decide(known: Known, campaign: KnownCampaign, call_id: str) -> None:
    known.calls.setdefault(call_id, KnownCall(call_id, campaign.id)).decided = True
    known.changed_calls.add(call_id)


def _call_ended(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    """By the contact's status, as the read model has it (`projections.campaign_progress.call_fold`)."""
    call = known.calls.pop(call_id, None) or KnownCall(call_id, campaign.id)
    known.changed_calls.add(call_id)
    reason = data["endedReason"]
    if call.decided:
        return None
    if reason == NOT_ELIGIBLE:
        return "contact.skipped", {"contactId": call_id}
    if reason == PREDIAL_FAILED:
        return "contact.predial-failed", {"contactId": call_id, "error": reason}
    name = contact_after(reason, call.in_progress or data.get("startedAt") is not None)
    if name == "contact.skipped":
        return name, {"contactId": call_id}
    return name, {"contactId": call_id, "callId": call_id, "endedReason": reason}


def _started(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    return "campaign.started", {}


def _ended(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    """By itself it ends when every call is over; of one that a user ended, calls end after this."""
    if data["endedReason"] == "campaign.ended.success":
        _leave(known, campaign, campaign.names & {"campaign.archived"})
    return "campaign.ended", {"endedReason": data["endedReason"]}


def _cancelled(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    return "campaign.cancelled", {"endedReason": data["endedReason"]}


def _archived(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    _leave(known, campaign, campaign.names - {"campaign.archived"})
    return "campaign.archived", {}


def _deleted(known: Known, campaign: KnownCampaign, call_id: str, data: dict[str, Any]) -> Said:
    """It can not be archived any more; its calls under way end after this. Where its contacts never all came, it has none."""
    _leave(known, campaign, campaign.names - {"campaign.archived"} if campaign.announced else frozenset())
    return None


def _leave(known: Known, campaign: KnownCampaign, names: frozenset[str]) -> None:
    if campaign.names != names:
        campaign.names = names
        known.changed_campaigns.add(campaign.id)


_SAY: dict[str, Callable[[Known, KnownCampaign, str, dict[str, Any]], Said]] = {
    "ContactsCompleted.v1": _completed,
    "CampaignStarted.v1": _started,
    "CallQueued.v1": _queued,
    "CallStarted.v1": _picked_up,
    "CallForwarded.v1": _picked_up,
    "ContactSkipped.v1": _skipped,
    "PredialFailed.v1": _predial_failed,
    "CallEnded.v1": _call_ended,
    "CampaignEnded.v1": _ended,
    "CampaignCancelled.v1": _cancelled,
    "CampaignArchived.v1": _archived,
    "CampaignDeleted.v1": _deleted,
}
NEVER_TOLD = frozenset(FACTS) - frozenset(_SAY) - {"CampaignCreated.v1"}
"""The types of which nothing is learned or told."""
