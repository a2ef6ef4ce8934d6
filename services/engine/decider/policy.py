"""Owns the numbers that decisions depend on beside the facts: limits and spans of time, given from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits count calls; an `hour` of zero means that calls held back by the org's limit are tried until done."""

    org_limit: int = 100
    org_limits: Mapping[str, int] = field(default_factory=dict)
    hour: timedelta = timedelta(hours=1)
    contacts_window: timedelta = timedelta(minutes=10)
    """How long the parts of a campaign's contacts may take to come."""
    outcome_window: timedelta = timedelta(seconds=60)
    """How long a granted claim may stay without an outcome."""
    longest_call: timedelta = timedelta(hours=1)
    """The longest life of a call with the grace for its last callback, counted from its claim."""
    report_window: timedelta = timedelta(minutes=10)
    """How long after its end a call's final report is still taken."""

    def limit_of(self, org_id: str) -> int:
        """How many calls of the org may be active at once, over all its campaigns."""
        return self.org_limits.get(org_id, self.org_limit)
