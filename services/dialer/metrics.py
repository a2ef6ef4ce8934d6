"""Owns the dialer's metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.dialer.lines import Line

_LOOKUPS = "Lookups of calls whose outcome is unknown"
_LEFT_ALONE = "Whether the provider gets no calls for a while"
_PACE = "The most calls that the provider is given in a second; 0: without a limit"


class DialerMetrics:
    """Of this process life."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.claims = Counter("ringfold_dialer_claims", "Claims that were sent", registry=registry)
        self.passed = Counter("ringfold_dialer_passed", "Queued calls that needed no claim any more", registry=registry)
        self.outcomes = Counter("ringfold_dialer_outcomes", "What became of granted claims", ["provider", "outcome"], registry=registry)
        self.lookups = Counter("ringfold_dialer_lookups", _LOOKUPS, ["provider", "result"], registry=registry)
        self._left_alone = Gauge("ringfold_dialer_provider_left_alone", _LEFT_ALONE, ["provider"], registry=registry)
        self._pace = Gauge("ringfold_dialer_provider_calls_per_second", _PACE, ["provider"], registry=registry)

    def watch(self, line: Line) -> None:
        """Show the line as it is whenever the metrics are read."""
        self._left_alone.labels(line.provider.name).set_function(lambda: float(line.is_open()))
        self._pace.labels(line.provider.name).set_function(lambda: line.posting.per_second or 0.0)
