"""Owns the life of a call: the order of its states, and what its end means for its contact (contract, "Calls")."""

from typing import Literal

CallStatus = Literal["scheduled", "queued", "ringing", "in-progress", "forwarding", "ended"]
ContactStatus = Literal[
    "contact.pending",
    "contact.dispatched",
    "contact.completed",
    "contact.failed",
    "contact.skipped",
    "contact.predial-failed",
]

RANK: dict[str, int] = {
    "scheduled": 0,
    "queued": 1,
    "ringing": 2,
    "in-progress": 3,
    "forwarding": 4,
    "ended": 5,
}
"""A call only ever moves to a higher rank; ranks may be skipped."""

STATUS_AFTER: dict[str, CallStatus] = {
    "CallScheduled.v1": "scheduled",
    "CallQueued.v1": "queued",
    "CallRinging.v1": "ringing",
    "CallStarted.v1": "in-progress",
    "CallForwarded.v1": "forwarding",
    "CallEnded.v1": "ended",
}
"""The status that each event gives its call; events that are not named leave it as it is."""

VOICEMAIL = "voicemail"
DELETED = "scheduled-call-deleted"
ORG_LIMIT_REACHED = "call.start.error-subscription-concurrency-limit-reached"
LATEST_AT_PASSED = "call.start.error-latest-at-passed"
OUTCOME_UNKNOWN = "call.in-progress.error-outcome-unknown"
REFUSED = "call.start.error-provider-refused"
NOT_ELIGIBLE = "call.start.error-predial-not-eligible"
PREDIAL_FAILED = "call.start.error-predial-failed"
REASON_MISSING = "unknown-error"

_CONVERSATIONS = frozenset(
    {
        "customer-ended-call",
        "assistant-ended-call",
        "assistant-said-end-call-phrase",
        "assistant-forwarded-call",
        "silence-timed-out",
        "exceeded-max-duration",
    }
)
_NEVER_CONNECTED = frozenset({"customer-busy", "customer-did-not-answer", "twilio-failed-to-connect-call", REASON_MISSING})
_ERRORS = ("call.start.error-", "call.in-progress.error-", "pipeline-error-")


def was_conversation(ended_reason: str, started: bool) -> bool:
    """Whether a human picked up: said by the reason where it is a known one, otherwise by whether the call got `in-progress`."""
    if ended_reason == VOICEMAIL or ended_reason.startswith("call.start.error-"):
        return False
    return started or ended_reason in _CONVERSATIONS


def contact_after(ended_reason: str, started: bool) -> ContactStatus:
    """The contact's status once its call has ended, unless pre-dial decided it before."""
    if ended_reason == DELETED:
        return "contact.skipped"
    if ended_reason == VOICEMAIL:
        return "contact.completed"
    if ended_reason.startswith(_ERRORS) or ended_reason in _NEVER_CONNECTED:
        return "contact.failed"
    return "contact.completed" if was_conversation(ended_reason, started) else "contact.failed"
