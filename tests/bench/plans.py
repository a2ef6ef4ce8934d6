"""Owns which campaigns the log is of: whose, how large, and when each is created."""

from dataclasses import dataclass
from random import Random
from typing import Literal

_ORGS = 120
_CALLS_PER_CAMPAIGN = 150
_EVENTS_PER_CALL = 6.5
_CALLS_PER_SECOND = 20
"""Over all orgs: far below what their limits let through, so that some hundreds of calls are live at any time."""
_LARGE = 1_000

Fate = Literal["ends", "paused", "cancelled"]


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """`limit`: its calls at once; `created_ms` after the log begins; a fate that befalls it does so halfway."""

    org: str
    calls: int
    limit: int
    created_ms: int
    fate: Fate = "ends"


def zipf_plans(events: int, draws: Random) -> list[CampaignPlan]:
    """Campaigns whose calls yield more than `events`, the k-th largest a k-th of the largest, in the order of their creation.

    None is larger than a tenth of all that came before it, so that a prefix of the log is made up like the whole of it.
    """
    calls = max(500, int(events / _EVENTS_PER_CALL))
    count = max(20, calls // _CALLS_PER_CAMPAIGN)
    largest = calls / sum(1 / rank for rank in range(1, count + 1))
    sizes = [max(5, round(largest / rank)) for rank in range(1, count + 1)]
    draws.shuffle(sizes)
    plans, before = [], 0
    for size in _grown(sizes):
        plans.append(_plan(size, before, draws))
        before += size
    return plans


def _grown(sizes: list[int]) -> list[int]:
    ordered: list[int] = []
    waiting: list[int] = []
    before = 0
    for size in sizes:
        waiting.append(size)
        for fits in [size for size in waiting if size <= max(200, before // 10)]:
            waiting.remove(fits)
            ordered.append(fits)
            before += fits
    return ordered + sorted(waiting)


def _plan(size: int, before: int, draws: Random) -> CampaignPlan:
    lot = draws.random()
    fate: Fate = "paused" if lot < 0.03 else "cancelled" if lot < 0.06 and size < _LARGE else "ends"
    limit = 100 if size > _LARGE else 10
    return CampaignPlan(f"org-{draws.randrange(_ORGS):03d}", size, limit, before * 1_000 // _CALLS_PER_SECOND, fate)


def equal_plans(calls: int, campaign_calls: int) -> list[CampaignPlan]:
    """As many calls of one org in campaigns of one size, all there from the beginning; the org's own limit holds for all alike."""
    limit = 100 if campaign_calls > _LARGE else 10
    return [CampaignPlan("org-flat", campaign_calls, limit, 0) for _ in range(calls // campaign_calls)]
