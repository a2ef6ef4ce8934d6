"""Owns the section on writes: campaigns small and large into all services, dials with a provider that answers at once, scale-out."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from infra.children import die_with_this_process
from services.runtime.kafka import make_producer
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.bench.environment import BenchEnvironment, cpu_seconds, spread
from tests.bench.report import SectionFailedError, Table
from tests.bench.write_stack import WriteStack, bench_settings, broker_pid, spent, write_stack
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.scaling import CommandLoad, processes, rows_as_of, until_ended

_POST_CUSTOMERS = 10_000
_ORG_LIMIT = 200
_CAMPAIGN_LIMIT = 150
_SLOWEST_SECONDS = 240.0
_MEMORY_GOAL_MIB = 512.0
_LATER = {"earliestAt": "2099-01-01T00:00:00Z"}
_TARGET = {"name": "Bench", "assistantId": "asst-1", "phoneNumberId": "pn-1"}


async def run(environment: BenchEnvironment) -> list[Table]:
    settings = bench_settings(environment, "writes")
    provider_port = free_port()
    variables = {"PROVIDER_URL": f"http://127.0.0.1:{provider_port}", "ORG_CONCURRENCY_LIMIT": str(_ORG_LIMIT)}
    async with _instant_provider(provider_port) as provider, write_stack(settings, **variables) as stack:
        post = await _post(stack, environment)
        upload = await _upload(stack, environment)
        dials = await _dials(stack, environment, provider, provider_port)
        memory = _memory(stack, environment)
    return [post, upload, dials, memory, await _scale_out(environment)]


@asynccontextmanager
async def _instant_provider(port: int) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.instant_provider", str(port), preexec_fn=die_with_this_process(), start_new_session=True
    )
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


async def _post(stack: WriteStack, environment: BenchEnvironment) -> Table:
    body = _TARGET | {"schedulePlan": _LATER, "customers": _customers(_POST_CUSTOMERS)}
    took = []
    for _ in range(1 if environment.short else 5):
        began = time.perf_counter()
        async with stack.http.post(f"{stack.stack.api_url}/campaign", json=body) as response:
            _require(response.status == 201, f"POST answered {response.status}")
            created = await response.json()
        _require(len(created["calls"]) == _POST_CUSTOMERS, "the answer does not hold all calls")
        took.append(time.perf_counter() - began)
    goal = f"goal: 2 s; {_judged(environment, spread(took).median <= 2.0)}"
    return Table("POST of 10,000 customers until all calls are read", ("", "seconds"), [("wall", spread(took).written(2))], [goal])


def _customers(count: int) -> list[dict[str, Any]]:
    return [
        {"number": f"+1415{n:07d}", "name": f"Customer {n}", "assistantOverrides": {"variableValues": {"city": "London"}}}
        for n in range(count)
    ]


async def _upload(stack: WriteStack, environment: BenchEnvironment) -> Table:
    count = 20_000 if environment.short else 1_000_000
    path = environment.directory / "contacts.csv"
    await asyncio.to_thread(_write_csv, path, count)
    broker = broker_pid(environment.bootstrap_servers)
    before, broker_before = stack.cpu(), cpu_seconds(broker) if broker else 0.0
    began = time.perf_counter()
    with path.open("rb") as file:
        form = aiohttp.FormData()
        form.add_field("campaign", aiohttp.JsonPayload(_TARGET | {"schedulePlan": _LATER}))
        form.add_field("customers", file, filename="contacts.csv", content_type="text/csv")
        async with stack.http.post(f"{stack.stack.api_url}/campaign", data=form) as response:
            _require(response.status == 201, f"the upload was answered {response.status}")
            campaign_id = (await response.json())["id"]
    seconds = time.perf_counter() - began
    _require(await stack.counted(campaign_id, "pending") == count, "not all contacts are in the read model")
    used = spent(before, stack.cpu()) | ({"broker": cpu_seconds(broker) - broker_before} if broker else {})
    rows: list[tuple[str, ...]] = [(name, f"{value:.1f}", f"{value / count * 1e6:.1f}") for name, value in used.items()]
    rows.append(("all", f"{sum(used.values()):.1f}", f"{sum(used.values()) / count * 1e6:.1f}"))
    goal = f"wall: {seconds:.1f} s; goal for a million: 60 s; {_judged(environment, seconds <= 60)}"
    return Table(f"A campaign of {count:,} by CSV, until the read model has it", ("process", "CPU s", "µs a contact"), rows, [goal])


def _write_csv(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.write("number,name,city,plan\n")
        file.writelines(f"+1415{n:07d},Customer {n},London,gold\n" for n in range(count))


async def _dials(stack: WriteStack, environment: BenchEnvironment, provider: int, provider_port: int) -> Table:
    count = 1_000 if environment.short else 16_000
    broker = broker_pid(environment.bootstrap_servers)
    campaigns = []
    before = stack.cpu() | {"provider": cpu_seconds(provider)} | ({"broker": cpu_seconds(broker)} if broker else {})
    began = time.perf_counter()
    for _ in range(2):
        body = _TARGET | {"maxConcurrency": _CAMPAIGN_LIMIT, "customers": _customers(count // 2)}
        async with stack.http.post(f"{stack.stack.api_url}/campaign", json=body) as response:
            _require(response.status == 201, f"POST answered {response.status}")
            campaigns.append((await response.json())["id"])
    for campaign_id in campaigns:
        await eventually(_counting(stack, campaign_id), lambda ended: ended == count // 2, _SLOWEST_SECONDS)
    seconds = time.perf_counter() - began
    after = stack.cpu() | {"provider": cpu_seconds(provider)} | ({"broker": cpu_seconds(broker)} if broker else {})
    used = spent(before, after)
    async with stack.http.get(f"http://127.0.0.1:{provider_port}/seen") as response:
        seen = await response.json()
    _require(seen["posts"] == count and not seen["doubled"], f"{count} calls made {seen['posts']} posts, {seen['doubled']} of them twice")
    most = {name: seen["most"][name] for name in ("acme", *campaigns)}
    _require(most["acme"] <= _ORG_LIMIT and max(most[c] for c in campaigns) <= _CAMPAIGN_LIMIT, f"the provider saw more at once: {most}")
    rows: list[tuple[str, ...]] = [(name, f"{value:.1f}", f"{value / count * 1e3:.3f}") for name, value in used.items()]
    rows.append(("all", f"{sum(used.values()):.1f}", f"{sum(used.values()) / count * 1e3:.3f}"))
    rate = count / seconds
    engine_and_dialer = count / max(used["engine"], used["dialer"], 1e-9)
    most_of_one = max(most[campaign_id] for campaign_id in campaigns)
    notes = [
        f"{count:,} calls in {seconds:.1f} s, with all processes on this machine: {rate:.0f} a second",
        f"goal: 500 a second; {_judged(environment, rate >= 500)}",
        f"engine and dialer, each with a core of its own: {engine_and_dialer:.0f} a second by their CPU-seconds",
        f"each once; at the provider at most {most['acme']} at once of {_ORG_LIMIT}, {most_of_one} of one campaign's {_CAMPAIGN_LIMIT}",
    ]
    return Table("Dials with a provider that answers and ends at once", ("process", "CPU s", "ms a call"), rows, notes)


def _counting(stack: WriteStack, campaign_id: str) -> Any:
    async def look() -> int:
        await asyncio.sleep(0.3)
        return await stack.counted(campaign_id, "completed")

    return look


def _memory(stack: WriteStack, environment: BenchEnvironment) -> Table:
    peaks = stack.peaks()
    rows: list[tuple[str, ...]] = [(name, f"{peak:.0f}") for name, peak in peaks.items()]
    goal = f"goal: {_MEMORY_GOAL_MIB:.0f} MiB each with a million calls; {_judged(environment, max(peaks.values()) < _MEMORY_GOAL_MIB)}"
    return Table("Peak memory of each service over all of the above", ("process", "MiB (VmHWM)"), rows, [goal])


async def _scale_out(environment: BenchEnvironment) -> Table:
    campaigns = 40 if environment.short else 300
    rows: list[tuple[str, ...]] = []
    walls = []
    for copies in (1, 2):
        settings = bench_settings(environment, f"scale-{copies}")
        events, seconds, engines, projectors = await _shared(settings, copies, campaigns)
        walls.append(seconds)
        rows.append(
            (
                f"{copies} of each",
                f"{events:,}",
                f"{seconds:.1f}",
                f"{events / seconds:,.0f}",
                f"{engines / events * 1e6:.1f}",
                f"{projectors / events * 1e6:.1f}",
            )
        )
    notes = [
        f"both leave the rows that one fold of the log makes, byte for byte; wall time: {walls[0] / walls[1]:.2f} times as fast by two",
        "all share the cores of one machine with the broker: CPU-seconds an event say what more machines would give",
    ]
    columns = ("engines and projectors", "events", "wall s", "events/s", "engine µs/event", "projector µs/event")
    return Table("Scale-out: the same commands for one and two of each", columns, rows, notes)


async def _shared(settings: Settings, copies: int, campaigns: int) -> tuple[int, float, float, float]:
    """Events, wall seconds, CPU-seconds of the engines and of the projectors, from ready to the read model's last row."""
    await ensure_topics(settings)
    children = [processes(settings, number) for number in range(copies)]
    producer = make_producer(settings)
    await producer.start()
    try:
        async with aiohttp.ClientSession() as http:
            for child in (child for pair in children for child in pair):
                child.start()
            for child in (child for pair in children for child in pair):
                await eventually(lambda child=child: child.not_ready(http), lambda lack: lack is None, 60)  # type: ignore[misc]
        load = CommandLoad(settings, producer, contacts=100)
        before = [[cpu_seconds(child.process.pid) for child in pair if child.process] for pair in children]
        began = time.perf_counter()
        await load.send(campaigns)
        log = await until_ended(load, _SLOWEST_SECONDS)
        rows = await rows_as_of(settings, log, _SLOWEST_SECONDS)
        seconds = time.perf_counter() - began
        after = [[cpu_seconds(child.process.pid) for child in pair if child.process] for pair in children]
        _require(rows == await log.reference(), "the rows are not those that the log folds to")
        engines, projectors = (sum(a[n] - b[n] for a, b in zip(after, before, strict=True)) for n in (0, 1))
        return sum(map(len, log.events.values())), seconds, engines, projectors
    finally:
        await producer.stop()
        for child in (child for pair in children for child in pair):
            child.kill()


def _judged(environment: BenchEnvironment, met: bool) -> str:
    if environment.short:
        return "not judged by a short run"
    return "met" if met else "MISSED"


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SectionFailedError(otherwise, [])
