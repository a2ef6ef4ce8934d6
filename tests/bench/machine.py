"""Owns what a report says of the machine it was made on."""

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.kafka.broker import LIBS

_GIB = 1024**3


@dataclass(frozen=True)
class Machine:
    cores: int
    memory_gib: float
    python: str
    java: str
    kafka: str

    def described(self) -> str:
        return f"{self.cores} cores, {self.memory_gib:.0f} GiB, Python {self.python}, Java {self.java}, Kafka {self.kafka}"


def this_machine() -> Machine:
    """`none` stands for a Java that is not there, `as named` for a Kafka that is not ours to look at."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return Machine(len(os.sched_getaffinity(0)), round(memory, 1), platform.python_version(), _java_version(), _kafka_version())


def _java_version() -> str:
    home = os.environ.get("JAVA_HOME")
    try:
        done = subprocess.run([f"{home}/bin/java" if home else "java", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    found = re.search(r'version "([^"]+)"', done.stderr)
    return found.group(1) if found else done.stderr.partition("\n")[0]


def _kafka_version() -> str:
    jars: list[Path] = sorted(LIBS.glob("kafka_2.13-*.jar"))
    if not jars or os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return "as named"
    return jars[-1].stem.removeprefix("kafka_2.13-")
