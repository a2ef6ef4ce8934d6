"""Owns what is counted of the engine's work, and which partitions are ready."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.engine.ports import Batch


@dataclass(slots=True)
class Observer:
    """Told by the partitions; registers its metrics in the given registry only."""

    registry: CollectorRegistry
    taken: set[int] = field(default_factory=set)
    partitions: Gauge = field(init=False)
    events: Counter = field(init=False)
    dead_letters: Counter = field(init=False)
    forwarded: Counter = field(init=False)
    transactions: Histogram = field(init=False)

    def __post_init__(self) -> None:
        self.partitions = Gauge("ringfold_engine_partitions", "Partitions taken over", registry=self.registry)
        self.events = Counter("ringfold_engine_events", "Events written", registry=self.registry)
        self.dead_letters = Counter("ringfold_engine_dead_letters", "Commands dead-lettered", registry=self.registry)
        self.forwarded = Counter("ringfold_engine_forwarded", "Commands forwarded to their partition", registry=self.registry)
        self.transactions = Histogram("ringfold_engine_transaction_seconds", "Seconds a transaction took", registry=self.registry)

    def ready(self, partition: int, ready: bool) -> None:
        """The partition was taken over, or is not held any more."""
        (self.taken.add if ready else self.taken.discard)(partition)
        self.partitions.set(len(self.taken))

    def committed(self, batch: Batch, seconds: float) -> None:
        """A batch is durably on the log."""
        self.events.inc(len(batch.events))
        self.dead_letters.inc(len(batch.dead))
        self.forwarded.inc(len(batch.forwarded))
        self.transactions.observe(seconds)
