"""Owns the rules of the fold, as each contestant in Python applies them to its own kind of state."""

RANKED = ("scheduled", "queued", "ringing", "in-progress", "forwarding", "ended")
CREATED = "CampaignCreated.v1"
BECOMES = {
    "CallScheduled.v1": 0,
    "CallQueued.v1": 1,
    "CallRinging.v1": 2,
    "CallStarted.v1": 3,
    "CallForwarded.v1": 4,
    "CallEnded.v1": 5,
}
"""The rank that an event gives its call, if it has a lower one; other events of a call change nothing here."""
COUNTED_AS = (0, 1, 2, 2, 2, 3)
"""The counter that a call of each rank stands in; the fifth counts those that a voicemail ended."""
NO_CALLS = (0, 0, 0, 0, 0)


def recount(counters: list[int], before: int | None, rank: int, reason: str) -> None:
    """Move the campaign's counters by what happened to one of its calls."""
    if before is not None:
        counters[COUNTED_AS[before]] -= 1
    counters[COUNTED_AS[rank]] += 1
    counters[4] += reason == "voicemail"
