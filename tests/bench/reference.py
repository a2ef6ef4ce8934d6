"""Owns what every contestant must come to: the fold of the log at its plainest, of no other code than this, and the dump of it.

A call moves forward only; a campaign counts how many of its calls are in which state. Nothing else of an event matters here.
"""

import hashlib
from collections.abc import Iterable, Iterator

import orjson

_RANKED = ("scheduled", "queued", "ringing", "in-progress", "forwarding", "ended")
_BECOMES = {
    "CallScheduled.v1": 0,
    "CallQueued.v1": 1,
    "CallRinging.v1": 2,
    "CallStarted.v1": 3,
    "CallForwarded.v1": 4,
    "CallEnded.v1": 5,
}
_COUNTED_AS = (0, 1, 2, 2, 2, 3)
"""By rank: the counter of scheduled, queued, in-progress or ended calls; the fifth counts those that a voicemail ended too."""
COUNTERS = 5


class ReferenceFold:
    def __init__(self) -> None:
        self._calls: dict[str, tuple[int, str]] = {}
        self._campaigns: dict[str, list[int]] = {}

    def fold(self, value: bytes) -> None:
        event = orjson.loads(value)
        if event["type"] == "CampaignCreated.v1":
            self._campaigns.setdefault(event["subject"], [0] * COUNTERS)
            return
        rank = _BECOMES.get(event["type"])
        if rank is None:
            return
        before = self._calls.get(event["callid"])
        if before is not None and before[0] >= rank:
            return
        reason = event["data"].get("endedReason", "")
        counters = self._campaigns[event["subject"]]
        if before is not None:
            counters[_COUNTED_AS[before[0]]] -= 1
        counters[_COUNTED_AS[rank]] += 1
        counters[4] += reason == "voicemail"
        self._calls[event["callid"]] = (rank, reason)

    def lines(self) -> Iterator[bytes]:
        """Of each call and each campaign one, in no order."""
        for call_id, (rank, reason) in self._calls.items():
            yield call_line(call_id, _RANKED[rank], reason)
        for campaign_id, counters in self._campaigns.items():
            yield campaign_line(campaign_id, counters)


def call_line(call_id: str, status: str, ended_reason: str | None) -> bytes:
    return f"{call_id}\t{status}\t{ended_reason or ''}\n".encode()


def campaign_line(campaign_id: str, counters: Iterable[int]) -> bytes:
    """The counters: scheduled, queued, in progress, ended, ended by voicemail."""
    return "\t".join([campaign_id, *map(str, counters)]).encode() + b"\n"


def digest(lines: Iterable[bytes]) -> str:
    """The SHA-256 of the canonical dump: all lines, sorted."""
    return hashlib.sha256(b"".join(sorted(lines))).hexdigest()


def reference_digests(values: Iterable[bytes], lengths: Iterable[int]) -> dict[int, str]:
    """By length: the digest after so many of the values."""
    wanted, fold, found = set(lengths), ReferenceFold(), {}
    for count, value in enumerate(values, 1):
        fold.fold(value)
        if count in wanted:
            found[count] = digest(fold.lines())
    return found
