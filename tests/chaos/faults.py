"""Owns what each kind of fault does to a stack, and that it is healed again."""

import asyncio
import json
import random
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.stack.child import Child
from tests.chaos.databases import PostgresDatabase
from tests.chaos.load import Users
from tests.chaos.plan import GROUPED, Fault
from tests.chaos.proxy import Proxy
from tests.chaos.stack import SERVICES, SESSION_SECONDS, ChaosStack

_REACHED_SECONDS = 5.0
_USES_READ_MODEL = ("projector", "engine", "dialer", "api")


class FaultSkippedError(Exception):
    """The machine does not allow this fault."""


@dataclass(slots=True)
class Faults:
    """Runs faults on one stack; each returns once it is healed."""

    stack: ChaosStack
    users: Users
    rng: random.Random
    is_alone: bool
    """Whether the round has one fault only, so that what the API says in the middle of it is certain."""

    async def run(self, fault: Fault) -> None:
        """Raises `FaultSkippedError` where this machine does not allow it."""
        await asyncio.sleep(fault.at_seconds)
        await self._by_kind()[fault.kind](fault)

    def _by_kind(self) -> dict[str, Callable[[Fault], Awaitable[None]]]:
        return {
            "kill": self._kill,
            "fail-point-kill": self._fail_point_kill,
            "fail-point-stop": self._fail_point_stop,
            "pause": self._pause,
            "broker-kill": self._broker_kill,
            "broker-unreachable": self._broker_unreachable,
            "broker-refuses": lambda fault: self._refuse(self.stack.kafka, fault),
            "broker-latency": lambda fault: self._slow(self.stack.kafka, fault),
            "broker-resets": lambda fault: self._reset(self.stack.kafka, fault),
            "broker-half-open": lambda fault: self._half_open(self.stack.kafka, fault),
            "database-locked": self._database_locked,
            "database-unreachable": self._database_unreachable,
            "database-latency": lambda fault: self._slow(self._database().proxy, fault),
            "database-resets": lambda fault: self._reset(self._database().proxy, fault),
            "database-half-open": lambda fault: self._half_open(self._database().proxy, fault),
            "database-restart": lambda _: self._database().restart(),
            "disk-full": self._disk_full,
            "backup-restored": self._backup_restored,
            "clock-jump": self._clock_jump,
            "clock-dst": self._clock_dst,
            "rebalance-storm": self._rebalance_storm,
            "poison": self._poison,
            "receiver-silent": self._receiver_silent,
            "provider-dead": lambda fault: self._refuse(self.stack.provider, fault),
            "provider-latency": lambda fault: self._slow(self.stack.provider, fault),
            "provider-half-open": lambda fault: self._half_open(self.stack.provider, fault),
        }

    def _database(self) -> PostgresDatabase:
        assert isinstance(self.stack.database, PostgresDatabase)
        return self.stack.database

    async def _kill(self, fault: Fault) -> None:
        self.stack.children[fault.service].kill()

    async def _fail_point_kill(self, fault: Fault) -> None:
        self.stack.arm(fault.service, fault.point)
        await asyncio.sleep(fault.hold_seconds)

    async def _fail_point_stop(self, fault: Fault) -> None:
        """It stops itself; another instance takes over, and it wakes up as a zombie. One that never came to the point is disarmed."""
        self.stack.start_second(fault.service)
        self.stack.arm(fault.service, fault.point)
        child = self.stack.children[fault.service]
        until = time.monotonic() + _REACHED_SECONDS
        while child.runs() and not is_stopped(child) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        if is_stopped(child):
            await asyncio.sleep(fault.hold_seconds)
            child.send(signal.SIGCONT)
            await asyncio.sleep(0.5)
        else:
            self.stack.restart_with(fault.service)
        await self.stack.stop_second()

    async def _pause(self, fault: Fault) -> None:
        """Longer than the session; another instance takes over, and it wakes up as a zombie."""
        assert fault.hold_seconds > SESSION_SECONDS
        self.stack.start_second(fault.service)
        await asyncio.sleep(1.5)
        child = self.stack.children[fault.service]
        if child.runs():
            child.send(signal.SIGSTOP)
        await asyncio.sleep(fault.hold_seconds)
        child.send(signal.SIGCONT)
        await asyncio.sleep(0.5)
        await self.stack.stop_second()

    async def _broker_kill(self, fault: Fault) -> None:
        broker = self.stack.broker
        broker.kill()
        await asyncio.sleep(fault.hold_seconds / 2)
        broker.launch()
        while not broker.answers():
            await asyncio.sleep(0.1)

    async def _broker_unreachable(self, fault: Fault) -> None:
        """In the middle of it the API says 503, or holds the request until the broker is back."""
        self.stack.kafka.silent = True
        asked = asyncio.create_task(self._ask_in_the_dark(fault))
        await asyncio.sleep(fault.hold_seconds)
        await self.stack.kafka.heal()
        await asked

    async def _ask_in_the_dark(self, fault: Fault) -> None:
        await asyncio.sleep(min(fault.hold_seconds * 0.6, 10))
        status, message = await self.users.ask_once(f"dark-{self.rng.getrandbits(32)}")
        if status not in (None, 201, 503) or (status == 201 and fault.hold_seconds > 30):
            self.users.promises.faults.append(f"degradation: without the log a creation was answered by {status}: {message}")

    async def _database_locked(self, fault: Fault) -> None:
        """Only the read model stands still: in the middle of it a write goes on, and is answered from the events."""
        locked = asyncio.create_task(self.stack.database.lock(fault.hold_seconds))
        await asyncio.sleep(0.2)
        status, message = await self.users.ask_once(f"locked-{self.rng.getrandbits(32)}")
        if self.is_alone and status != 201:
            self.users.promises.faults.append(f"degradation: without the read model a creation was answered by {status}: {message}")
        await locked

    async def _database_unreachable(self, fault: Fault) -> None:
        """In the middle of it a write goes on, for a key that the API knows; keys and remembered requests are away too."""
        status, _ = await self.users.ask_once(f"known-{self.rng.getrandbits(32)}")
        is_certain = self.is_alone and status == 201
        proxy = self._database().proxy
        proxy.silent = True
        asked = asyncio.create_task(self.users.ask_once(f"unreachable-{self.rng.getrandbits(32)}"))
        await asyncio.sleep(fault.hold_seconds)
        await proxy.heal()
        status, message = await asked
        if is_certain and status != 201:
            self.users.promises.faults.append(f"degradation: without the database a creation was answered by {status}: {message}")

    async def _refuse(self, proxy: Proxy, fault: Fault) -> None:
        await proxy.refuse()
        await asyncio.sleep(fault.hold_seconds)
        await proxy.heal()

    async def _slow(self, proxy: Proxy, fault: Fault) -> None:
        proxy.latency_seconds = self.rng.uniform(0.02, 0.15)
        await asyncio.sleep(fault.hold_seconds)
        await proxy.heal()

    async def _reset(self, proxy: Proxy, fault: Fault) -> None:
        for _ in range(4):
            await proxy.cut()
            await asyncio.sleep(fault.hold_seconds / 4)

    async def _half_open(self, proxy: Proxy, fault: Fault) -> None:
        proxy.half_open = True
        await asyncio.sleep(fault.hold_seconds)
        await proxy.heal()

    async def _disk_full(self, fault: Fault) -> None:
        if not self.stack.disk.is_mounted:
            raise FaultSkippedError("disk-full: a tmpfs can not be mounted here")
        self.stack.disk.fill()
        await asyncio.sleep(fault.hold_seconds)
        self.stack.disk.empty()

    async def _backup_restored(self, fault: Fault) -> None:
        try:
            await self.stack.database.back_up()
        except sqlite3.OperationalError as error:
            raise FaultSkippedError(f"backup-restored: {error}") from error
        await asyncio.sleep(fault.hold_seconds)
        await self.stack.keep_down(*_USES_READ_MODEL)
        await self.stack.database.restore()
        self.users.forget_what_was_shown()
        self.stack.sight.forget_versions()
        self.stack.bring_up()

    async def _clock_jump(self, fault: Fault) -> None:
        """One service's clock is an hour ahead, and a little later everybody's."""
        ahead = float(self.stack.clock_file(fault.service).read_text()) + 3_600
        self.stack.set_clock(fault.service, ahead)
        await asyncio.sleep(fault.hold_seconds)
        for service in SERVICES:
            self.stack.set_clock(service, ahead)

    async def _clock_dst(self, fault: Fault) -> None:
        """The service is started in a zone whose summer begins two seconds later; then it ends."""
        self.stack.restart_with(fault.service, TZ=_zone_that_changes_in(3))
        await asyncio.sleep(fault.hold_seconds + 1)
        self.stack.restart_with(fault.service, TZ=_zone_that_changes_in(3, back=True))
        await asyncio.sleep(fault.hold_seconds)

    async def _rebalance_storm(self, fault: Fault) -> None:
        for service in GROUPED:
            self.stack.start_second(service)
        await asyncio.sleep(2 + fault.hold_seconds)
        await self.stack.stop_second()
        self.stack.start_second(self.rng.choice(GROUPED))
        await asyncio.sleep(fault.hold_seconds)
        await self.stack.stop_second()

    async def _poison(self, fault: Fault) -> None:
        for topic in ("campaign-commands", "call-commands"):
            for value in poison(self.rng.getrandbits(64)):
                await self.users.kafka.send(topic, value, self.rng.choice((b"amy", b"cy", b"nobody", b"\xff")))
            await self.users.kafka.send_unreadable(topic, partition=0)

    async def _receiver_silent(self, fault: Fault) -> None:
        self.stack.receiver.silent_orgs.add("amy")
        await asyncio.sleep(fault.hold_seconds)
        self.stack.receiver.silent_orgs.clear()


def is_stopped(child: Child) -> bool:
    """Whether the process stands still by SIGSTOP."""
    if child.process is None:
        return False
    try:
        state = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "T"


def poison(number: int) -> list[bytes]:
    """Commands that nobody can carry out; `number` makes their ids new."""
    envelope = {"specversion": "1.0", "id": f"poison-{number}", "source": "/chaos", "orgid": "cy"}
    known = {**envelope, "type": "CreateCampaign.v1"}
    return [
        b"",
        b"{not json",
        b"\xff\xfe\x00",
        b"[1, 2, 3]",
        b'{"a":' * 500,
        json.dumps({**envelope, "type": "NobodyKnowsThis.v1", "data": {}}).encode(),
        json.dumps({**envelope, "type": "CreateCampaign.v99", "data": {}}).encode(),
        json.dumps({**known, "id": f"poison-a{number}", "data": {"name": 7, "customers": "nobody"}}).encode(),
        json.dumps({**known, "id": 12, "data": {}}).encode(),
        json.dumps({**known, "id": f"poison-b{number}", "data": {"name": "x" * 1_000_000}}).encode(),
        json.dumps({**known, "id": f"poison-c{number}", "data": {"name": "x" * 3_000_000}}).encode(),
        json.dumps({**envelope, "type": "ClaimCall.v1", "subject": "nowhere", "callid": "nobody", "data": {"attempt": "first"}}).encode(),
    ]


def _zone_that_changes_in(seconds: int, *, back: bool = False) -> str:
    """A POSIX zone whose clock goes forward, or back, by an hour in some seconds from now."""
    at = datetime.now(UTC) + timedelta(seconds=seconds) + (timedelta(hours=1) if back else timedelta())
    change = f"{at.timetuple().tm_yday - 1}/{at:%H:%M:%S}"
    other = f"{(at - timedelta(days=90)).timetuple().tm_yday - 1}/2"
    return f"WIN0SUM,{other},{change}" if back else f"WIN0SUM,{change},{other}"
