"""Owns what the API counts and times."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ApiMetrics:
    """Routes are named as they are declared, so that no id becomes a label; what a request counts for is looked up once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self.requests = Counter("ringfold_api_requests", "Requests answered", labels, registry=registry)
        self.seconds = Histogram(
            "ringfold_api_request_seconds", "Time from a request to its answer", ("method", "route"), registry=registry, buckets=_BUCKETS
        )
        self.callbacks = Counter("ringfold_api_callbacks", "Providers' callbacks by what was done", ("result",), registry=registry)
        self.writes_waiting = Gauge("ringfold_api_writes_waiting", "Commands whose outcome is awaited", registry=registry)
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count and time one request."""
        key = method, route, status
        found = self._answered.get(key)
        if found is None:
            found = self._answered[key] = (self.requests.labels(*key), self.seconds.labels(method, route))
        found[0].inc()
        found[1].observe(seconds)
