"""Owns how a call's row follows from its events: forward only (`events.calls.RANK`), so late and repeated ones change nothing.

Each function changes the row in place and says whether the event changed anything.
"""

from collections.abc import Callable

from events.calls import NOT_ELIGIBLE, PREDIAL_FAILED, RANK, STATUS_AFTER, VOICEMAIL, contact_after, was_conversation
from projections.campaign_progress.rows import CallRow
from projections.reading import CallData, LogEvent

_PROVE_A_DIAL = frozenset({VOICEMAIL, "customer-busy", "customer-did-not-answer"})
_DECIDED_BY_PREDIAL = {NOT_ELIGIBLE: "contact.skipped", PREDIAL_FAILED: "contact.predial-failed"}


def _queued(call: CallRow, event: LogEvent, data: CallData) -> bool:
    """The first one dispatches the call; a later one offers it again and voids the claim that surely was not placed."""
    at, attempt = event.time, data.attempt
    if call.status == "scheduled":
        call.status = "queued"
        call.contact_status = "contact.dispatched"
        call.dispatched_at = at
    elif call.status != "queued" or call.placed or attempt < call.attempt or not _comes_after_queueing(call, event):
        return False
    call.attempt = attempt
    call.queued_at, call.queued_by = at, event.causationid
    call.claim_id = call.claimant = call.provider = call.outcome_due_at = call.ends_by = None
    call.outcome_unknown = False
    return True


def _comes_after_queueing(call: CallRow, event: LogEvent) -> bool:
    at, queued_at = event.time, call.queued_at or ""
    return at > queued_at or (at == queued_at and event.causationid != call.queued_by)


def _waits(call: CallRow, event: LogEvent, data: CallData) -> bool:
    """Whether the event is of the call's present attempt, and the provider is not known to have the call."""
    queued = call.status == "queued" and not call.placed
    return queued and data.attempt == call.attempt and event.time >= (call.queued_at or "")


def _claimed(call: CallRow, event: LogEvent, data: CallData) -> bool:
    if not _waits(call, event, data) or call.claim_id is not None:
        return False
    call.claim_id = event.causationid
    call.claimant = data.claimant
    call.provider = data.provider
    call.outcome_due_at = data.outcome_due_at
    call.ends_by = data.ends_by
    return True


def _placed(call: CallRow, event: LogEvent, data: CallData) -> bool:
    if not _waits(call, event, data):
        return False
    call.provider = data.provider or call.provider
    _provider_has_it(call, data)
    return True


def _provider_has_it(call: CallRow, data: CallData) -> None:
    call.placed = True
    call.outcome_unknown = False
    if call.provider_call_id is None:
        call.provider_call_id = data.provider_call_id


def _moved(call: CallRow, event: LogEvent, data: CallData) -> bool:
    status = STATUS_AFTER[event.type]
    if RANK[status] <= RANK[call.status]:
        return False
    call.status = status
    call.contact_status = "contact.dispatched"
    call.attempt = max(call.attempt, data.attempt)
    if call.dispatched_at is None:
        call.dispatched_at = event.time
    _provider_has_it(call, data)
    return True


def _picked_up(call: CallRow, event: LogEvent, data: CallData) -> bool:
    if not _moved(call, event, data):
        return False
    call.started_at = data.started_at
    return True


def _outcome_unknown(call: CallRow, event: LogEvent, data: CallData) -> bool:
    if not _waits(call, event, data) or call.outcome_unknown:
        return False
    call.outcome_unknown = True
    call.ends_by = data.ends_by
    return True


def _ended(call: CallRow, event: LogEvent, data: CallData) -> bool:
    if call.status == "ended":
        return False
    reason = data.ended_reason
    in_progress = RANK[call.status] >= RANK["in-progress"]
    call.status = "ended"
    call.ended_reason = reason
    call.ended_at = data.ended_at
    call.attempt = max(call.attempt, data.attempt)
    call.started_at = data.started_at or call.started_at
    call.report_due_at = data.report_due_at
    _take_report(call, data)
    if call.placed or _proves_a_dial(reason, data):
        _provider_has_it(call, data)
    call.outcome_unknown = False
    decided = _DECIDED_BY_PREDIAL.get(reason)
    call.contact_status = decided or contact_after(reason, in_progress or call.started_at is not None)
    return True


def _proves_a_dial(reason: str, data: CallData) -> bool:
    """Whether a provider must have placed the call for it to end so (contract, "Calls": `dialed`)."""
    if data.provider_call_id is not None or data.started_at is not None or data.cost is not None or data.analysis:
        return True
    return reason in _PROVE_A_DIAL or was_conversation(reason, False)


def _take_report(call: CallRow, data: CallData) -> None:
    if data.cost is not None:
        call.cost = data.cost
    if data.analysis:
        call.analysis = str(data.analysis, "utf-8")


def _analyzed(call: CallRow, event: LogEvent, data: CallData) -> bool:
    if call.status != "ended" or call.report_due_at is None:
        return False
    call.report_due_at = None
    _take_report(call, data)
    call.placed = True
    return True


def _skipped(call: CallRow, event: LogEvent, data: CallData) -> bool:
    return _decided_by_predial(call, "contact.skipped")


def _predial_failed(call: CallRow, event: LogEvent, data: CallData) -> bool:
    return _decided_by_predial(call, "contact.predial-failed")


def _decided_by_predial(call: CallRow, contact_status: str) -> bool:
    if call.status != "queued" or call.contact_status != "contact.dispatched":
        return False
    call.contact_status = contact_status
    return True


CallFold = Callable[[CallRow, LogEvent, CallData], bool]

CALL_FOLDS: dict[str, CallFold] = {
    "CallQueued.v1": _queued,
    "CallClaimed.v1": _claimed,
    "CallPlaced.v1": _placed,
    "CallRinging.v1": _moved,
    "CallStarted.v1": _picked_up,
    "CallForwarded.v1": _moved,
    "CallOutcomeUnknown.v1": _outcome_unknown,
    "CallEnded.v1": _ended,
    "CallAnalyzed.v1": _analyzed,
    "ContactSkipped.v1": _skipped,
    "PredialFailed.v1": _predial_failed,
}
