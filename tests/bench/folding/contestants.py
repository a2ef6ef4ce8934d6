"""Owns the list of contestants: how each is started, what it has after kill -9, and how much of the log it gets."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.folding.contestant import Contestant
from tests.bench.folding.ours import OurProjector
from tests.bench.folding.rival import Rival
from tests.support.postgres import fresh_database

OURS, OURS_ON_POSTGRES = "ours, SQLite", "ours, PostgreSQL"
FAUST, BYTEWAX, STREAMS = "Faust, stock agent", "Bytewax", "Kafka Streams"
GETMANY_READS, GETMANY_FOLDS = "getmany, only reading", "getmany, folding"

_RIVALS_PYTHON = Path(".venv/rivals/bin/python")
_STREAMS_TARGET = Path("tests/bench/kafka_streams/target")
_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Invited:
    """With how many events it takes part in a full and in a short run: most get a prefix, so that the section keeps its time.

    A short one favours who gets it, whose state stays small; but Java has compiled what runs often only after some hundred thousand.
    """

    contestant: Contestant
    events: int
    short_events: int


def our_own(port: int, postgres: Any) -> list[Invited]:
    async def new_postgres(directory: Path) -> str:
        return fresh_database(postgres)

    return [
        Invited(OurProjector(OURS, port, new_sqlite), 2_000_000, 100_000),
        Invited(OurProjector(OURS_ON_POSTGRES, port, new_postgres, [postgres.get_pid()]), 250_000, 50_000),
    ]


async def new_sqlite(directory: Path) -> str:
    return f"sqlite:///{directory / 'read-model.sqlite'}"


def rivals() -> list[Invited]:
    own, theirs = sys.executable, str(_RIVALS_PYTHON)
    streams = ["java", "-Xmx1g", "-cp", f"{_STREAMS_TARGET / 'classes'}:{_STREAMS_TARGET / 'libs'}/*", "FoldTopology"]
    changelog = "state, by its changelog; counters may count twice"
    return [
        Invited(Rival(FAUST, _module(own, "faust_agent"), changelog, commits=True), 10_000, 3_000),
        Invited(Rival(BYTEWAX, _module(theirs, "bytewax_flow"), f"{_NOTHING}: no recovery store"), 250_000, 100_000),
        Invited(Rival("Quix Streams", _module(theirs, "quix_app"), "state and offset, exactly once"), 50_000, 20_000),
        Invited(Rival(STREAMS, streams, "state and offset, exactly once", commits=True), 1_000_000, 50_000),
        Invited(Rival(GETMANY_READS, _module(own, "getmany_loop", "--read"), _NOTHING, folds=False, waits=True), 2_000_000, 100_000),
        Invited(Rival(GETMANY_FOLDS, _module(own, "getmany_loop", "--fold"), _NOTHING, waits=True), 500_000, 100_000),
        Invited(
            Rival("consume, only reading", _module(own, "consume_loop", "--read"), _NOTHING, folds=False, waits=True), 500_000, 100_000
        ),
        Invited(Rival("consume, folding", _module(own, "consume_loop", "--fold"), _NOTHING, waits=True), 250_000, 100_000),
    ]


def _module(python: str, name: str, *arguments: str) -> Sequence[str]:
    return [python, "-m", f"tests.bench.rivals.{name}", *arguments]
