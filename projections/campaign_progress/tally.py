"""Owns what one call counts for in its campaign. Counters move by the difference of a call's old and new tally, so that a
repeated event moves nothing and every counter equals a recount (contract, "Calls")."""

from events.calls import VOICEMAIL, was_conversation
from projections.campaign_progress.rows import COUNTERS, CallRow, CampaignRow

_MOST_MICROS = 10**12
"""A call's cost counts as a million US dollars at most, so that no sum leaves 64 bits."""

_CALL_COUNTER = {
    "scheduled": "calls_scheduled",
    "queued": "calls_queued",
    "ringing": "calls_in_progress",
    "in-progress": "calls_in_progress",
    "forwarding": "calls_in_progress",
    "ended": "calls_ended",
}
_CONTACT_COUNTER = {
    "contact.pending": "contacts_pending",
    "contact.dispatched": "contacts_dispatched",
    "contact.completed": "contacts_completed",
    "contact.failed": "contacts_failed",
    "contact.skipped": "contacts_skipped",
    "contact.predial-failed": "contacts_predial_failed",
}


Tally = tuple[str, str, bool, bool, bool, int]
"""The two counters that a call stands in, and what it adds to the others: voicemail, dialed, connected, and cost in micros."""


def tally(call: CallRow) -> Tally:
    ended = call.status == "ended"
    reason = call.ended_reason or ""
    return (
        _CALL_COUNTER[call.status],
        _CONTACT_COUNTER[call.contact_status],
        ended and reason == VOICEMAIL,
        call.placed,
        ended and call.placed and was_conversation(reason, call.started_at is not None),
        0 if call.cost is None else round(min(call.cost * 1_000_000, _MOST_MICROS)),
    )


def move(campaign: CampaignRow, before: Tally | None, after: Tally) -> None:
    """Take out what the call counted for before, if it was there, and put in what it counts for now."""
    if before is not None:
        if before == after:
            return
        _add(campaign, before, -1)
    _add(campaign, after, 1)


def _add(campaign: CampaignRow, counts: Tally, sign: int) -> None:
    in_call, in_contact, voicemail, dialed, connected, micros = counts
    setattr(campaign, in_call, getattr(campaign, in_call) + sign)
    setattr(campaign, in_contact, getattr(campaign, in_contact) + sign)
    if dialed:
        campaign.dialed += sign
    if voicemail:
        campaign.calls_ended_voicemail += sign
    if connected:
        campaign.connected += sign
    if micros:
        campaign.cost_micros += sign * micros


def clear(campaign: CampaignRow) -> None:
    """As if it had no calls."""
    for counter in COUNTERS:
        setattr(campaign, counter, 0)
