"""Owns the stack that writes are measured on: every service as its own process, their CPU-seconds between two looks, their peaks."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import aiohttp

from services.runtime.settings import Settings
from tests.bench.environment import BenchEnvironment, cpu_seconds, peak_bytes
from tests.support.ports import free_port
from tests.support.stack import RunningStack, running_stack

_MIB = 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=600)


def bench_settings(environment: BenchEnvironment, name: str, partitions: int = 6) -> Settings:
    """Topics, data and ports of its own for each use."""
    ports = {f"{service}_port": free_port() for service in ("api", "engine", "projector", "dialer", "notifier", "simulator")}
    return Settings(
        kafka_bootstrap_servers=environment.bootstrap_servers,
        topic_prefix=f"{name}-{uuid4().hex[:8]}-",
        topic_partitions=partitions,
        data_dir=environment.directory / name,
        callback_secret="secret-of-the-benchmark",
        **ports,  # type: ignore[arg-type]
    )


@dataclass(slots=True)
class WriteStack:
    """A running stack with a user of the org `acme`."""

    stack: RunningStack
    http: aiohttp.ClientSession

    def pids(self) -> dict[str, int]:
        return {name: child.process.pid for name, child in self.stack.children.items() if child.process is not None}

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.pids().items()}

    def peaks(self) -> dict[str, float]:
        """VmHWM of each process, in MiB."""
        return {name: peak_bytes(pid) / _MIB for name, pid in self.pids().items()}

    async def counted(self, campaign_id: str, state: str) -> int:
        """How many contacts of the campaign are in the state."""
        async with self.http.get(f"{self.stack.api_url}/v2/campaign/{campaign_id}", params={"includeCounters": "true"}) as response:
            response.raise_for_status()
            count: int = (await response.json())["contactCounters"][state]
            return count


@asynccontextmanager
async def write_stack(settings: Settings, **variables: str) -> AsyncIterator[WriteStack]:
    """Ready, with a key; killed at the end."""
    async with running_stack(settings, None, API_UPLOAD_SECONDS="900", **variables) as stack:
        headers = {"Authorization": f"Bearer {await stack.create_key('acme')}"}
        async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as http:
            yield WriteStack(stack, http)


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU-seconds of each process between two looks."""
    return {name: after[name] - before[name] for name in before}


def broker_pid(bootstrap_servers: str) -> int | None:
    """Of the broker that this run brought; `None` for a cluster that was named, or runs elsewhere."""
    port = bootstrap_servers.rpartition(":")[2]
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _is_broker_of(int(entry), port):
            return int(entry)
    return None


def _is_broker_of(pid: int, port: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        if b"kafka.Kafka" not in words:
            return False
        with open(words[words.index(b"kafka.Kafka") + 1].decode()) as file:
            return f":{port}," in file.read()
    except (OSError, IndexError):
        return False
