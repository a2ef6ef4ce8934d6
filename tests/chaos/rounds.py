"""Owns the running of rounds: one broker for all of them, a stack for each block, and after each round the check."""

import asyncio
import math
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from infra.kafka.broker import Broker
from tests.chaos.checker import doubled_dials, pending, violations
from tests.chaos.databases import PostgresDatabase, SmallDisk, SqliteDatabase, start_postgres
from tests.chaos.faults import Faults, FaultSkippedError
from tests.chaos.load import Users
from tests.chaos.plan import Fault, Round
from tests.chaos.proxy import Proxy
from tests.chaos.stack import ChaosStack, build_stack
from tests.support.ports import free_port

RECOVERY_SECONDS = 60.0
_LOOK_SECONDS = 0.15


@dataclass(slots=True)
class Result:
    """What became of a round. `recovery_seconds` counts from the last healing on."""

    round: Round
    recovery_seconds: float
    last: str
    """What was waited for last."""
    violations: list[str]
    skipped: list[str]


@dataclass(slots=True)
class Totals:
    """Of all rounds so far."""

    results: list[Result] = field(default_factory=list)
    claims: int = 0
    unknown: int = 0
    doubled: int = 0
    restarts: int = 0
    dead_letters: int = 0
    statuses: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Grounds:
    """Where stacks are built: one broker behind a proxy, and one PostgreSQL server."""

    directory: Path
    broker: Broker
    kafka: Proxy
    postgres: Any = None
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    async def stack(self, name: str, database: str, **environment: str) -> ChaosStack:
        """A running stack of its own topics and data."""
        disk = SmallDisk(self.directory / name)
        disk.mount()
        if database == "postgresql" and self.postgres is None:
            self.postgres = await asyncio.to_thread(start_postgres, self.directory / "postgres")
        opened = await PostgresDatabase.on(self.postgres) if database == "postgresql" else SqliteDatabase.at(disk.directory / "read.sqlite")
        logs = self.directory / "logs" / name
        stack = build_stack(name, self.broker, self.kafka, opened, disk, logs, **environment)
        stack.commands = self.commands
        try:
            await stack.start()
        except BaseException:
            await stack.stop()
            raise
        return stack


@asynccontextmanager
async def grounds(directory: Path) -> AsyncIterator[Grounds]:
    """A broker and what stands before it, for as long as the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    direct, behind = free_port(), free_port()
    kafka = Proxy(("127.0.0.1", behind))
    controller = free_port()
    properties = {
        "listeners": f"PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{kafka.port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "group.min.session.timeout.ms": "1000",
    }
    broker = Broker(directory / "broker", direct, controller, properties=properties)
    broker.start()
    await kafka.start()
    place = Grounds(directory, broker, kafka)
    try:
        yield place
    finally:
        await kafka.stop()
        broker.kill()
        if place.postgres is not None:
            await asyncio.to_thread(place.postgres.cleanup)


async def run_rounds(
    place: Grounds, rounds: list[Round], say: Callable[[str], None], recovery_seconds: float = RECOVERY_SECONDS, until: float = math.inf
) -> Totals:
    """All rounds, or those that begin before `until` by the monotonic clock. One that broke something is the last of its stack."""
    totals = Totals()
    left = deque(rounds)
    while left and time.monotonic() <= until:
        await _run_on_a_stack(place, left, totals, say, recovery_seconds, until)
    return totals


async def _run_on_a_stack(
    place: Grounds, left: deque[Round], totals: Totals, say: Callable[[str], None], recovery_seconds: float, until: float
) -> None:
    """The rounds of the next block that are left, taken off in turn; up to one that broke something."""
    first = left[0]
    stack = await place.stack(f"r{first.number}-{first.database[0]}", first.database)
    users = Users(stack, random.Random(first.seed))
    try:
        await users.start()
        while left and left[0].block == first.block and time.monotonic() <= until:
            planned = left.popleft()
            result = await run_round(stack, users, planned, place.directory, recovery_seconds)
            totals.results.append(result)
            told = f"round {planned.number} on {planned.database}: {'; '.join(map(str, planned.faults))}"
            say(f"{told}: recovered in {result.recovery_seconds:.1f} s, at last: {result.last}")
            for line in (*result.skipped, *result.violations):
                say(f"  {line}")
            if result.violations:
                break
    finally:
        await _close(stack, users, totals)


async def _close(stack: ChaosStack, users: Users, totals: Totals) -> None:
    totals.claims += sum(sum(call.claims.values()) for call in stack.sight.fold.calls.values())
    totals.unknown += sum(call.was_unknown for call in stack.sight.fold.calls.values())
    totals.doubled += len(doubled_dials(stack))
    totals.restarts += stack.restarts
    totals.dead_letters += sum(stack.sight.dead_letters.values())
    totals.statuses.update(users.answers())
    await users.stop()
    await stack.stop()


async def run_round(stack: ChaosStack, users: Users, planned: Round, directory: Path, within_seconds: float) -> Result:
    """Load and faults at once, then quiet, then the check."""
    users.draw_from(planned.seed)
    faults = Faults(stack, users, random.Random(planned.seed + 1), len(planned.faults) == 1)
    working = asyncio.create_task(users.work(planned.number, planned.calls))
    skipped = [told for told in await asyncio.gather(*(_run(faults, fault) for fault in planned.faults)) if told]
    healed = time.monotonic()
    is_quiet, last = await _until_quiet(stack, users, working, healed + within_seconds)
    recovery_seconds = time.monotonic() - healed
    if not is_quiet:
        working.cancel()
        lacks = await stack.not_ready()
        await stack.tell_where_they_stand()
        found = [f"I8: after {recovery_seconds:.0f} s still: {last}", *lacks]
        with suppress(SQLAlchemyError, OSError):
            found += await violations(stack, users, directory)
        return Result(planned, recovery_seconds, last, found, skipped)
    if any(fault.kind == "clock-jump" for fault in planned.faults):
        # whoever skips an hour ends calls that the provider still has
        stack.phone.most_at_once.clear()
    found = await violations(stack, users, directory)
    return Result(planned, recovery_seconds, last, found, skipped)


async def _run(faults: Faults, fault: Fault) -> str | None:
    try:
        await faults.run(fault)
    except FaultSkippedError as error:
        return f"skipped {error}"
    return None


async def _until_quiet(stack: ChaosStack, users: Users, working: "asyncio.Task[None]", deadline: float) -> tuple[bool, str]:
    """Whether two looks in a row found nothing to wait for before the deadline, and what was waited for last."""
    quiet, last = 0, "nothing"
    while True:
        reason = "requests are not answered" if not working.done() else await pending(stack, users)
        quiet, last = (0, reason) if reason else (quiet + 1, last)
        if quiet == 2:
            await working
            return True, last
        if reason and time.monotonic() > deadline:
            return False, last
        await asyncio.sleep(_LOOK_SECONDS)
