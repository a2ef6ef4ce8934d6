"""Owns the notifier's metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class NotifierMetrics:
    """Counts of this process life."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.enqueued = Counter("ringfold_notifier_enqueued", "Messages that were put in the outbox", ["name"], registry=registry)
        self.attempts = Counter("ringfold_notifier_attempts", "Attempts by what became of them", ["result"], registry=registry)
        self.in_flight = Gauge("ringfold_notifier_in_flight", "Requests under way", registry=registry)
        self.unreadable = Counter("ringfold_notifier_unreadable", "Events that could not be read", registry=registry)
