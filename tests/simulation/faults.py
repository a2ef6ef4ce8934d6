"""Owns what goes wrong, when, and for how long: drawn from the seed, each run its own few kinds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.simulation.cluster import Cluster
from tests.simulation.exchange import Exchange
from tests.simulation.network import Network
from tests.simulation.processes import Process
from tests.simulation.webhooks import Receivers

KINDS = (
    "crash",
    "freeze",
    "short-freeze",
    "cut",
    "slow",
    "lossy",
    "broker-away",
    "store-away",
    "provider-away",
    "receivers-away",
    "clock",
    "rebalance",
)
_PLACES = ("log", "store", "provider", "notifier-store", "webhooks")


@dataclass
class Faults:
    """Breaks things until `heal`; `counts` says what it did."""

    cluster: Cluster
    network: Network
    exchange: Exchange
    receivers: Receivers
    processes: Sequence[Process]
    random: Random
    kinds: Sequence[str]
    healed: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def begin(self, until: float) -> None:
        at = self.random.random() * 2
        while at < until:
            self.cluster.loop.later(at, self._strike)
            at += 1 + self.random.random() * 9

    def _strike(self) -> None:
        if not self.healed and self.kinds:
            kind = self.random.choice(self.kinds)
            self.counts[kind] += 1
            _STRIKES[kind](self, self.random.choice(self.processes))

    def crash(self, process: Process) -> None:
        process.crash(self.random.choice((0.1, 1.0, 8.0)) * (0.5 + self.random.random()))

    def freeze(self, process: Process) -> None:
        process.freeze(self.random.choice((3.0, 10.0, 30.0)) * (0.5 + self.random.random()))

    def short_freeze(self, process: Process) -> None:
        process.freeze(0.1 + self.random.random() * 2)

    def cut(self, process: Process) -> None:
        self._cut(process.name, self.random.choice(_PLACES))

    def broker_away(self, process: Process) -> None:
        self._cut("*", "log")

    def store_away(self, process: Process) -> None:
        self._cut("*", "store")

    def _cut(self, name: str, place: str) -> None:
        self.network.cuts[name, place] += 1
        if place == "log":
            for process in self.processes:
                if process.life is not None and name in ("*", process.name):
                    self.cluster.silent(process.life)
        self.cluster.loop.later(self.random.choice((1.0, 5.0, 15.0)) * (0.5 + self.random.random()), self._mend, name, place)

    def _mend(self, name: str, place: str) -> None:
        if self.network.cuts[name, place]:
            self.network.cuts[name, place] -= 1
            self.cluster.healed()

    def slow(self, process: Process) -> None:
        self.network.slow = 0.2
        self.cluster.loop.later(5.0, self._calm)

    def lossy(self, process: Process) -> None:
        self.network.lossy = 0.15
        self.cluster.loop.later(6.0, self._calm)

    def _calm(self) -> None:
        self.network.slow = self.network.lossy = 0.0

    def provider_away(self, process: Process) -> None:
        self.exchange.down = True
        self.cluster.loop.later(2 + self.random.random() * 10, self._provider_is_back)

    def _provider_is_back(self) -> None:
        self.exchange.down = False

    def receivers_away(self, process: Process) -> None:
        self.receivers.down = True
        self.cluster.loop.later(2 + self.random.random() * 10, self._receivers_are_back)

    def _receivers_are_back(self) -> None:
        self.receivers.down = False

    def clock(self, process: Process) -> None:
        process.clock.skew_seconds = self.random.choice((-1, 1)) * self.random.choice((0.5, 3.0, 12.0))

    def rebalance(self, process: Process) -> None:
        for group in self.cluster.groups.values():
            group.rebalance()

    def heal(self) -> None:
        """Nothing goes wrong any more: who is down starts, who is frozen goes on, every clock is right again."""
        self.healed = True
        self._calm()
        self.exchange.down = self.receivers.down = False
        self.exchange.silent = 0.0
        self.network.cuts.clear()
        for process in self.processes:
            process.clock.skew_seconds = 0.0
            if process.life is None:
                process.start()
            elif process.life.frozen:
                process.life.thaw()
        self.cluster.healed()


_STRIKES = {
    "crash": Faults.crash,
    "freeze": Faults.freeze,
    "short-freeze": Faults.short_freeze,
    "cut": Faults.cut,
    "slow": Faults.slow,
    "lossy": Faults.lossy,
    "broker-away": Faults.broker_away,
    "store-away": Faults.store_away,
    "provider-away": Faults.provider_away,
    "receivers-away": Faults.receivers_away,
    "clock": Faults.clock,
    "rebalance": Faults.rebalance,
}
