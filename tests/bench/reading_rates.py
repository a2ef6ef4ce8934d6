"""Owns how reads are measured: a point read beside a bare handler, deep pages beside first ones, streams beside their length."""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.environment import BenchEnvironment, Spread, cpu_seconds, peak_bytes, spread
from tests.bench.http_load import load_from_outside
from tests.bench.long_lists import MANY_CONTACTS
from tests.bench.report import Table
from tests.support.ports import free_port
from tests.support.stack import RunningStack

_CONNECTIONS = 16
_POINT_READ_GOAL = 0.80
_PAGE_NOISE = 1.25
"""A page counts as no slower where it takes at most so many times as long: the two are measured milliseconds apart."""


@dataclass(frozen=True)
class Bench:
    """The stack under measurement, a key to write with, a key of the org with the long lists, and how long those are."""

    environment: BenchEnvironment
    stack: RunningStack
    key: str
    lists_key: str
    listed: int

    @property
    def api_pid(self) -> int:
        process = self.stack.children["api"].process
        assert process is not None
        return process.pid

    def session(self, key: str | None = None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.stack.api_url, headers={"Authorization": f"Bearer {key or self.key}"})

    async def create(self, http: aiohttp.ClientSession, customers: int) -> str:
        """A campaign that waits, of so many customers."""
        spec = {"name": "Spring", "assistantId": "a-1", "phoneNumberId": "p-1", "schedulePlan": {"earliestAt": "2035-01-02T09:00:00Z"}}
        people = [{"number": f"+1415{number:07d}", "name": f"Customer {number}"} for number in range(customers)]
        async with http.post("/v2/campaign", json=spec | {"customers": people}) as response:
            assert response.status == 201, await response.text()
            campaign: str = (await response.json())["id"]
            return campaign


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


async def point_reads(bench: Bench) -> Table:
    """Alternating, with the same client and the same bytes; the API's CPU holds what it does beside answering, too."""
    seconds, rounds = (1.0, 2) if bench.environment.short else (2.5, 5)
    async with bench.session() as http:
        path = f"/v2/campaign/{await bench.create(http, 2)}"
        async with http.get(path) as response:
            body = await response.read()
    file, port = bench.environment.directory / "body", free_port()
    file.write_bytes(body)
    measured: dict[str, list[tuple[float, float]]] = {"bare aiohttp handler": [], "GET /v2/campaign/{id}": []}
    with _bare(port, file) as pid:
        await _until_listening(port)
        servers = [("bare aiohttp handler", pid, port), ("GET /v2/campaign/{id}", bench.api_pid, bench.stack.settings.api_port)]
        for _ in range(rounds):
            for name, server, at in servers:
                used = cpu_seconds(server)
                load = await load_from_outside(at, path, bench.key, _CONNECTIONS, seconds)
                measured[name].append((load.requests / max(cpu_seconds(server) - used, 0.01), load.requests / load.seconds))
    by_cpu, by_time = ({name: [one[i] for one in found] for name, found in measured.items()} for i in (0, 1))
    bare, ours = list(measured)
    ratios = [spread([a / b for a, b in zip(rates[ours], rates[bare], strict=True)]) for rates in (by_cpu, by_time)]
    rows: list[tuple[str, ...]] = [(name, spread(by_cpu[name]).written(), spread(by_time[name]).written()) for name in measured]
    rows.append(("ratio", ratios[0].written(2), ratios[1].written(2)))
    goals = [f"goal {_POINT_READ_GOAL}: by CPU {verdict(ratios[0].median >= _POINT_READ_GOAL)}"]
    goals.append(f"by time {verdict(ratios[1].median >= _POINT_READ_GOAL)}")
    notes = [", ".join(goals), f"{len(body)} bytes, {_CONNECTIONS} connections with one request each, with a key, rate limits off"]
    return Table("Point reads", ("server", "requests per CPU-second", "requests per second"), rows, notes)


class _bare:  # noqa: N801 - reads as a statement
    def __init__(self, port: int, body: Path) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare_http", str(port), str(body)])

    def __enter__(self) -> int:
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


async def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError("the bare handler does not listen")


async def pages(bench: Bench) -> Table:
    """Page 1 and the deepest full page that the list has, up to 1,000, in turn."""
    limit = 100 if bench.listed >= 100_000 else 10
    deep, times = 1_000, 15 if bench.environment.short else 60
    contacts = f"/v2/campaign/{MANY_CONTACTS}/contacts?limit={limit}"
    lists = {
        "campaigns, newest first": (f"/v2/campaign?limit={limit}", deep),
        "campaigns, oldest first": (f"/v2/campaign?limit={limit}&sortOrder=ASC", deep),
        "campaigns, ended": (f"/v2/campaign?limit={limit}&status=ended", deep),
        "contacts": (contacts, deep),
        "contacts, completed": (f"{contacts}&status=contact.completed", deep // 4),
        "contacts, by status": (f"{contacts}&sortBy=status", deep),
    }
    rows: list[tuple[str, ...]] = []
    met = True
    async with bench.session(bench.lists_key) as http:
        for name, (url, page) in lists.items():
            cold = await _milliseconds(http, f"{url}&page={page}")
            took: dict[int, list[float]] = {1: [], page: []}
            for _ in range(times):
                for number in took:
                    took[number].append(await _milliseconds(http, f"{url}&page={number}"))
            first, last = spread(took[1]), spread(took[page])
            met = met and last.median <= first.median * _PAGE_NOISE
            cells = (_ms(first), f"{page:,}", _ms(last), f"{last.median / first.median:.2f}", f"{cold:.1f}")
            rows.append((name, *cells))
    notes = [f"goal: no slower than page 1 (at most {_PAGE_NOISE} times): {verdict(met)}"]
    notes.append(f"{limit} of {bench.listed:,} items a page; cold: the first time after a change, when the list's marks are made")
    return Table("Pages of long lists, milliseconds", ("list", "page 1", "page", "that page", "ratio", "cold"), rows, notes)


def _ms(found: Spread) -> str:
    return found.written(1)


async def _milliseconds(http: aiohttp.ClientSession, url: str) -> float:
    began = time.perf_counter()
    async with http.get(url) as response:
        body: Any = await response.json()
    assert response.status == 200, body
    assert body["results"], url
    return (time.perf_counter() - began) * 1_000


async def streams(bench: Bench) -> Table:
    """`GET /campaign/{id}`: how the API's peak memory grows with the calls that it streams."""
    rows: list[tuple[str, ...]] = []
    peaks: list[float] = []
    async with bench.session() as writing, bench.session(bench.lists_key) as listing:
        few = await bench.create(writing, 10_000)
        for name, http, campaign in (("10,000 calls", writing, few), (f"{bench.listed:,} calls", listing, MANY_CONTACTS)):
            size, took, used = 0, [], cpu_seconds(bench.api_pid)
            for _ in range(2):
                began = time.perf_counter()
                async with http.get(f"/campaign/{campaign}") as response:
                    async for chunk in response.content.iter_chunked(65_536):
                        size += len(chunk)
                took.append(time.perf_counter() - began)
            peaks.append(peak_bytes(bench.api_pid) / 2**20)
            cpu = (cpu_seconds(bench.api_pid) - used) / 2
            rows.append((name, f"{size / 2 / 2**20:.1f}", spread(took).written(2), f"{cpu:.2f}", f"{peaks[-1]:.0f}"))
    notes = [f"peak memory grew by {peaks[1] - peaks[0]:.0f} MiB from the first row to the second"]
    return Table("GET /campaign/{id}, streamed", ("campaign", "MiB", "seconds", "CPU-seconds", "peak MiB of the API"), rows, notes)
