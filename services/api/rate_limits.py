"""Owns how often a key, and all keys of an org together, may ask: token buckets, in this process (contract, "Errors": 429)."""

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from services.api.errors import RateLimitedError
from services.runtime.clock import Clock

_MOST_REMEMBERED = 20_000
"""Who has not asked for the longest is forgotten first, which only ever gives them more."""


@dataclass(slots=True)
class TokenBuckets:
    """`per_second` tokens flow into each name's bucket, up to `burst`, which it holds at first; 0 per second: no limit."""

    clock: Clock
    per_second: float
    burst: float
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, name: str) -> float:
        """Take one token: 0 where there was one, otherwise the seconds until there will be, and nothing is taken."""
        if not self.per_second:
            return 0.0
        now = self.clock.monotonic()
        tokens, at = self._buckets.pop(name, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        missing = max(0.0, 1.0 - tokens)
        self._buckets[name] = (tokens if missing else tokens - 1.0, now)
        if len(self._buckets) > _MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return missing / self.per_second


@dataclass(slots=True)
class RateLimits:
    """A request counts for its key and for its org."""

    keys: TokenBuckets
    orgs: TokenBuckets

    def count(self, key_id: str, org_id: str) -> None:
        """Raises `RateLimitedError` where either has asked too often; a refused request of a key does not count for its org."""
        for buckets, name, whose in ((self.keys, key_id, "this key"), (self.orgs, org_id, "this org")):
            wait_seconds = buckets.take(name)
            if wait_seconds:
                raise RateLimitedError(f"{whose} may ask {buckets.per_second:g} times a second", math.ceil(wait_seconds))
