"""Owns what a contestant is told and what it says: arguments in, `begin` and `done` on standard output, its dump at the end."""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rivals.rules import RANKED


@dataclass(frozen=True)
class Task:
    """Fold the first so many events of the topic, which holds no more; `group` is new for every run, `directory` empty and its own."""

    servers: str
    topic: str
    group: str
    events: int
    directory: Path

    @property
    def dump(self) -> Path:
        return self.directory / "dump"


def read_task() -> Task:
    parser = argparse.ArgumentParser()
    for name in ("--servers", "--topic", "--group"):
        parser.add_argument(name, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    return Task(**vars(parser.parse_args()))


def say(word: str) -> None:
    print(word, flush=True)


def until_asked() -> None:
    """Until the measurement was read and the dump is wanted."""
    sys.stdin.readline()


def finish(task: Task, calls: Iterable[tuple[str, int, str]], campaigns: Iterable[tuple[str, Iterable[int]]]) -> None:
    """Write the dump and end the process at once, whatever threads it has. A call is its id, rank and reason."""
    with task.dump.open("w") as file:
        file.writelines(f"{call_id}\t{RANKED[rank]}\t{reason}\n" for call_id, rank, reason in calls)
        file.writelines("\t".join([campaign_id, *map(str, counters)]) + "\n" for campaign_id, counters in campaigns)
    os._exit(0)
