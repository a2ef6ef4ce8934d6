"""Owns how often a key, and all keys of an org together, may ask: token buckets, in this process (contract, "Errors": 429)."""

import math
from dataclasses import dataclass, field

from services.api.errors import RateLimitedError
from services.runtime.clock import Clock

_MOST_REMEMBERED = 20_000
"""Beyond that, full buckets are forgotten, which changes nothing, and where there are none the oldest, which only ever gives more."""


_ROUNDING = 1e-9


@dataclass(slots=True)
class TokenBuckets:
    """`per_second` tokens flow into each name's bucket, up to `burst`, which it holds at first; 0 per second: no limit.

    A bucket is kept as the moment at which it will be full again, so that a token costs one look into a dictionary.
    """

    clock: Clock
    per_second: float
    burst: float
    _full_at: dict[str, float] = field(default_factory=dict)

    def take(self, name: str) -> float:
        """Take one token: 0 where there was one, otherwise the seconds until there will be, and nothing is taken."""
        if not self.per_second:
            return 0.0
        now = self.clock.monotonic()
        full_at = max(self._full_at.get(name, now), now)
        tokens = self.burst - (full_at - now) * self.per_second
        if tokens < 1.0 - _ROUNDING:
            return (1.0 - tokens) / self.per_second
        self._full_at[name] = full_at + 1.0 / self.per_second
        if len(self._full_at) > _MOST_REMEMBERED:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        not_full = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        for name in list(not_full)[: len(not_full) - _MOST_REMEMBERED // 2]:
            del not_full[name]
        self._full_at = not_full


@dataclass(slots=True)
class RateLimits:
    """A request counts for its key and for its org."""

    keys: TokenBuckets
    orgs: TokenBuckets

    def count(self, key_id: str, org_id: str) -> None:
        """Raises `RateLimitedError` where either has asked too often; a refused request of a key does not count for its org."""
        wait_seconds = self.keys.take(key_id)
        if wait_seconds:
            raise _limited("this key", self.keys, wait_seconds)
        wait_seconds = self.orgs.take(org_id)
        if wait_seconds:
            raise _limited("this org", self.orgs, wait_seconds)


def _limited(whose: str, buckets: TokenBuckets, wait_seconds: float) -> RateLimitedError:
    return RateLimitedError(f"{whose} may ask {buckets.per_second:g} times a second", math.ceil(wait_seconds))
