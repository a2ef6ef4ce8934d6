"""Owns the dialer's metrics."""

from prometheus_client import CollectorRegistry, Counter


class DialerMetrics:
    """Counts of this process life."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.claims = Counter("ringfold_dialer_claims", "Claims that were sent", registry=registry)
        self.passed = Counter("ringfold_dialer_passed", "Queued calls that needed no claim any more", registry=registry)
        self.outcomes = Counter("ringfold_dialer_outcomes", "What became of granted claims", ["outcome"], registry=registry)
        self.lookups = Counter("ringfold_dialer_lookups", "Lookups of calls whose outcome is unknown", ["result"], registry=registry)
