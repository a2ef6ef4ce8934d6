"""Owns what the projector counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ProjectorMetrics:
    """The projector's metrics, registered in the given registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("ringfold_projector_events", "Events folded into the read model", ["partition"], registry=registry)
        self.batches = Counter("ringfold_projector_batches", "Batches committed to the read model", ["partition"], registry=registry)
        self.next_offset = Gauge("ringfold_projector_next_offset", "First offset not in the read model", ["partition"], registry=registry)
        self.lag = Gauge("ringfold_projector_lag", "Offsets of the log not read yet", ["partition"], registry=registry)
        self.broken = Gauge("ringfold_projector_broken_partitions", "Partitions that stand still", registry=registry)
        self.batch_seconds = Histogram(
            "ringfold_projector_batch_seconds",
            "Time to fold and commit a batch",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        self.published = Counter("ringfold_projector_summaries_published", "Summaries sent to campaign-state", registry=registry)

    def folded(self, partition: int, events: int, next_offset: int) -> None:
        self.events.labels(partition).inc(events)
        self.batches.labels(partition).inc()
        self.next_offset.labels(partition).set(next_offset)
