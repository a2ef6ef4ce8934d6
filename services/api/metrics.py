"""Owns what the API counts and times."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(slots=True)
class _Answered:
    """The requests of one method, route and status: in each bucket, the last of which has no upper bound, and their seconds in all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    seconds: float = 0.0


class ApiMetrics(Collector):
    """Routes are named as they are declared, so that no id becomes a label.

    A request is counted with a few additions and no lock, since only the event loop's thread counts.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.callbacks = Counter("ringfold_api_callbacks", "Providers' callbacks by what was done", ("result",), registry=registry)
        self.in_progress = Gauge("ringfold_api_requests_in_progress", "Requests that are not answered yet", registry=registry)
        self.writes_waiting = Gauge("ringfold_api_writes_waiting", "Commands whose outcome is awaited", registry=registry)
        self._answered: dict[tuple[str, str, int], _Answered] = {}
        registry.register(self)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count and time one request."""
        key = method, route, status
        found = self._answered.get(key)
        if found is None:
            found = self._answered[key] = _Answered()
        found.counts[bisect_left(_BUCKETS, seconds)] += 1
        found.seconds += seconds

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily("ringfold_api_requests", "Requests answered", labels=("method", "route", "status"))
        seconds = HistogramMetricFamily("ringfold_api_request_seconds", "Time from a request to its answer", labels=("method", "route"))
        routes: dict[tuple[str, str], _Answered] = {}
        for (method, route, status), found in self._answered.items():
            requests.add_metric((method, route, str(status)), sum(found.counts))
            whole = routes.setdefault((method, route), _Answered())
            whole.counts = list(map(add, whole.counts, found.counts))
            whole.seconds += found.seconds
        bounds = [*map(floatToGoString, _BUCKETS), "+Inf"]
        for labels, whole in routes.items():
            seconds.add_metric(labels, list(zip(bounds, accumulate(whole.counts), strict=True)), whole.seconds)
        return [requests, seconds]
