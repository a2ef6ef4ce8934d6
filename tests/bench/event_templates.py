"""Owns the bytes that the log is made of: each kind of event encoded once by the project's own codec, with gaps for what differs.

Two million events by the models take a minute and more, by filling the gaps some seconds; a test reads them back by the models.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from events import facts
from events.calls import DELETED, OUTCOME_UNKNOWN
from events.campaigns import Server
from events.codec import encode_event
from events.contacts import Customer
from events.envelope import Event
from events.instants import iso

_TEXTS = ("id", "org", "campaign", "call", "command", "claimant", "provider_call", "reason", "name", "customer", "city", "summary")
_INSTANTS = ("at", "started_at", "valid_until", "outcome_due_at", "ends_by", "report_due_at")
_NUMBERS = {"position": 900_000_001, "contacts": 900_000_002, "limit": 900_000_003, "part": 900_000_004}
_COST = 900_000_006.5
_FAR = datetime(1970, 1, 1, tzinfo=UTC)

_TEXT = {name: f"@{name}@" for name in _TEXTS} | {"number": "+19000000005"}
_HASH = "0" * 64
_INSTANT = {name: _FAR + timedelta(milliseconds=i) for i, name in enumerate(_INSTANTS, 1)}


def event_templates() -> dict[str, bytes]:
    """By kind: bytes to fill as in `template % fields`, where `fields` holds bytes by the names of the gaps as bytes."""
    return {kind: _template(_event(kind, data)) for kind, data in _facts().items()}


def _facts() -> dict[str, facts.Fact]:
    at, text, number = _INSTANT, _TEXT, _NUMBERS
    provider_call: dict[str, Any] = {"attempt": 1, "provider_call_id": text["provider_call"]}
    ended: dict[str, Any] = {**provider_call, "ended_reason": text["reason"], "ended_at": at["at"], "report_due_at": at["report_due_at"]}
    claimed: dict[str, Any] = {name: at[name] for name in ("valid_until", "outcome_due_at", "ends_by")}
    return {
        "created": facts.CampaignCreated(
            name=text["name"],
            assistant_id="5b2c7f2e-61a5-4f5b-8d0c-2f6f0a3b9d11",
            phone_number_id="9d1f2a30-7c0e-4a53-b1a4-6a8e0f3c5e22",
            max_concurrency=number["limit"],
            server=Server(url="https://hooks.example.com/ringfold", timeout_seconds=20),
        ),
        "scheduled": facts.CallScheduled(position=number["position"], customer=_customer()),
        "scheduled-in-part": facts.CallScheduled(position=number["position"], customer=_customer(), part=number["part"]),
        "completed": facts.ContactsCompleted(contacts=number["contacts"]),
        "started": facts.CampaignStarted(),
        "queued": facts.CallQueued(attempt=1),
        "claimed": facts.CallClaimed(attempt=1, claimant=text["claimant"], provider="default", **claimed),
        "placed": facts.CallPlaced(provider="default", **provider_call),
        "ringing": facts.CallRinging(**provider_call),
        "picked-up": facts.CallStarted(started_at=at["started_at"], **provider_call),
        "forwarded": facts.CallForwarded(**provider_call),
        "ended": facts.CallEnded(**ended),
        "talked": facts.CallEnded(started_at=at["started_at"], **ended),
        "refused": facts.CallEnded(attempt=1, ended_reason=text["reason"], ended_at=at["at"]),
        "dropped": facts.CallEnded(ended_reason=DELETED, ended_at=at["at"]),
        "analyzed": facts.CallAnalyzed(attempt=1, cost=_COST, analysis={"summary": text["summary"], "successEvaluation": "true"}),
        "unknown": facts.CallOutcomeUnknown(attempt=1, ends_by=at["ends_by"], provider="default"),
        "given-up": facts.CallEnded(attempt=1, ended_reason=OUTCOME_UNKNOWN, ended_at=at["at"]),
        "paused": facts.CampaignPaused(),
        "resumed": facts.CampaignResumed(),
        "cancelled": facts.CampaignCancelled(ended_reason="campaign.in-progress.ended-by-user"),
        "over": facts.CampaignEnded(ended_reason="campaign.ended.success"),
        "rejected": facts.CommandRejected(command="StopCampaign.v1", reason="not-found", messages=["the campaign does not exist"]),
    }


def _customer() -> Customer:
    overrides = {"variableValues": {"city": _TEXT["city"], "plan": "basic"}}
    return Customer(number=_TEXT["number"], name=_TEXT["customer"], assistant_overrides=overrides)


_OF_THE_CAMPAIGN = frozenset({"created", "completed", "started", "paused", "resumed", "cancelled", "over", "rejected"})
_CAUSED = frozenset(
    {
        "created",
        "scheduled",
        "scheduled-in-part",
        "completed",
        "claimed",
        "placed",
        "ringing",
        "picked-up",
        "forwarded",
        "ended",
        "talked",
        "refused",
        "analyzed",
    }
    | {"paused", "resumed", "cancelled", "rejected"}
)
_WITH_HASH = frozenset({"created", "paused", "resumed", "cancelled"})


def _event(kind: str, data: facts.Fact) -> Event:
    return Event(
        org_id=_TEXT["org"],
        at=_INSTANT["at"],
        data=data,
        campaign_id=_TEXT["campaign"],
        call_id=None if kind in _OF_THE_CAMPAIGN else _TEXT["call"],
        causation_id=_TEXT["command"] if kind in _CAUSED else None,
        request_hash=_HASH if kind in _WITH_HASH else None,
    )


def _template(event: Event) -> bytes:
    value = encode_event(event, _TEXT["id"]).replace(b"%", b"%%")
    gaps = {text.encode(): name for name, text in _TEXT.items()}
    gaps |= {iso(instant).encode(): name for name, instant in _INSTANT.items()}
    gaps |= {str(number).encode(): name for name, number in _NUMBERS.items()}
    gaps |= {str(_COST).encode(): "cost", _HASH.encode(): "hash"}
    for written, name in gaps.items():
        value = value.replace(written, b"%%(%b)b" % name.encode())
    return value
