"""Owns which faults come in which round, when and how long: they follow from the seed alone."""

import random
from dataclasses import dataclass

ON_BOTH = (
    "kill",
    "fail-point-kill",
    "fail-point-stop",
    "pause",
    "broker-kill",
    "broker-unreachable",
    "broker-refuses",
    "broker-latency",
    "broker-resets",
    "broker-half-open",
    "database-locked",
    "backup-restored",
    "clock-jump",
    "clock-dst",
    "rebalance-storm",
    "poison",
    "receiver-silent",
    "provider-dead",
    "provider-latency",
    "provider-half-open",
)
ON_POSTGRES = ("database-unreachable", "database-latency", "database-resets", "database-half-open", "database-restart")
ON_SQLITE = ("disk-full",)
WEIGHTS = {"kill": 4, "fail-point-kill": 8, "fail-point-stop": 2, "pause": 2}
FULL_LENGTH = {"broker-unreachable": 61.0, "database-unreachable": 61.0}
"""Outages of a minute, in a few rounds."""
SERVICES = ("engine", "projector", "dialer", "notifier", "api")
GROUPED = ("engine", "projector", "dialer", "notifier")
_SPANS = {"pause": (2.6, 3.4), "fail-point-stop": (2.6, 3.4), "kill": (0.0, 0.0), "poison": (0.0, 0.0), "clock-jump": (0.5, 1.0)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `at_seconds` after the round's beginning, for `hold_seconds`. `point` is a fail point, of `service` or none."""

    kind: str
    at_seconds: float
    hold_seconds: float
    service: str = ""
    point: str = ""

    def __str__(self) -> str:
        where = f" {self.point or self.service}" if self.service else ""
        return f"{self.kind}{where} at {self.at_seconds:.2f} s for {self.hold_seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class Round:
    """`block` numbers the stack that it runs on; a new block begins with an empty log."""

    number: int
    block: int
    database: str
    faults: tuple[Fault, ...]
    seed: int
    calls: int = 8
    """Of the largest campaign of the round."""


def plan_rounds(seed: int, rounds: int, points: dict[str, tuple[str, ...]], rounds_in_block: int = 10) -> list[Round]:
    """`points` are the fail points of each service. Every kind that a database knows comes before any comes again."""
    rng = random.Random(seed)
    decks: dict[str, list[str]] = {"sqlite": [], "postgresql": []}
    planned = []
    for number in range(rounds):
        block = number // rounds_in_block
        database = ("sqlite", "postgresql")[block % 2]
        kinds = [_draw(rng, decks[database], database) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
        faults = tuple(_fault(rng, kind, points) for kind in _compatible(kinds))
        planned.append(Round(number, block, database, faults, rng.getrandbits(32)))
    return _with_full_lengths(planned)


def plan_short(seed: int, points: dict[str, tuple[str, ...]]) -> list[Round]:
    """A few rounds, each kind of cheap fault once."""
    rng = random.Random(seed)
    kinds = (
        ("sqlite", ("kill", "poison", "receiver-silent")),
        ("sqlite", ("fail-point-kill", "broker-resets", "provider-dead")),
        ("sqlite", ("pause", "disk-full")),
        ("postgresql", ("database-restart", "broker-latency", "clock-jump")),
        ("postgresql", ("database-unreachable", "rebalance-storm")),
        ("postgresql", ("broker-kill", "clock-dst")),
    )
    return [
        Round(number, int(database == "postgresql"), database, tuple(_fault(rng, kind, points) for kind in chosen), rng.getrandbits(32))
        for number, (database, chosen) in enumerate(kinds)
    ]


def _draw(rng: random.Random, deck: list[str], database: str) -> str:
    if not deck:
        kinds = ON_BOTH + (ON_POSTGRES if database == "postgresql" else ON_SQLITE)
        deck += [kind for kind in kinds for _ in range(WEIGHTS.get(kind, 1))]
        rng.shuffle(deck)
    return deck.pop()


def _compatible(kinds: list[str]) -> list[str]:
    """One fault of a family in a round: two of them would undo each other."""
    families: dict[str, str] = {}
    for kind in kinds:
        family = "process" if kind in ("fail-point-stop", "pause", "backup-restored", "rebalance-storm") else kind.partition("-")[0]
        families.setdefault(family, kind)
    return list(families.values())


def _fault(rng: random.Random, kind: str, points: dict[str, tuple[str, ...]]) -> Fault:
    shortest, longest = _SPANS.get(kind, (0.8, 2.0))
    service = point = ""
    if kind in ("kill", "clock-jump", "clock-dst"):
        service = rng.choice(SERVICES)
    elif kind in ("pause", "fail-point-stop"):
        service = rng.choice(GROUPED)
    elif kind == "fail-point-kill":
        service = rng.choice(tuple(points))
    if kind.startswith("fail-point"):
        action = "kill" if kind.endswith("kill") else "stop"
        point = f"{rng.choice(points[service])}:{action}:{rng.choice((1, 1, 2, 3, 5))}"
    return Fault(kind, round(rng.uniform(0.1, 0.8), 2), round(rng.uniform(shortest, longest), 2), service, point)


def _with_full_lengths(rounds: list[Round]) -> list[Round]:
    """In every 200 rounds the first of each fault that is to last a minute now and then does."""
    done: set[tuple[str, int]] = set()
    for index, planned in enumerate(rounds):
        for fault in planned.faults:
            if fault.kind in FULL_LENGTH and len(rounds) >= 100 and (fault.kind, index // 200) not in done:
                done.add((fault.kind, index // 200))
                longer = Fault(fault.kind, fault.at_seconds, FULL_LENGTH[fault.kind])
                faults = tuple(longer if other is fault else other for other in planned.faults)
                rounds[index] = Round(planned.number, planned.block, planned.database, faults, planned.seed)
                break
    return rounds
