"""Owns the stack under fault: the services as processes under a supervisor, second instances of them, and what they are connected by."""

import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from infra.kafka.broker import Broker
from infra.stack.child import Child
from services.runtime.cancelling import cancel_all
from services.runtime.clock import OFFSET_VARIABLE
from services.runtime.fail_points import VARIABLE
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.chaos.databases import PostgresDatabase, ReadModelDatabase, SmallDisk
from tests.chaos.fold import Fold
from tests.chaos.log_reading import LogSight
from tests.chaos.phone import Phone
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import Receiver
from tests.support.ports import free_port

SERVICES = ("engine", "projector", "dialer", "notifier", "api")
ORG_LIMIT = 5
SESSION_SECONDS = 2.0
_WEBHOOK_SECRET = "webhooks-under-chaos"
_TIMES = {
    "KAFKA_SESSION_SECONDS": str(SESSION_SECONDS),
    "CLAIM_VALID_SECONDS": "2",
    "PROVIDER_TIMEOUT_SECONDS": "1.5",
    "PROVIDER_CONNECT_SECONDS": "0.5",
    "DIAL_OUTCOME_SECONDS": "4",
    "LONGEST_CALL_SECONDS": "11",
    "LONGEST_CALL_GRACE_SECONDS": "1",
    "FINAL_REPORT_SECONDS": "30",
    "ORG_CONCURRENCY_LIMIT": str(ORG_LIMIT),
    "ORG_LIMIT_RETRY_SECONDS": "0",
    "API_HOLD_SECONDS": "10",
    "API_READ_MODEL_PATIENCE_SECONDS": "1",
    "API_KEY_REQUESTS_PER_SECOND": "0",
    "API_ORG_REQUESTS_PER_SECOND": "0",
}
"""So short that a round with a fault in it takes seconds."""


@dataclass(slots=True)
class ChaosStack:
    """What ends is started again at once, without fail points; `second` holds further instances, which are not."""

    name: str
    broker: Broker
    kafka: Proxy
    database: ReadModelDatabase
    disk: SmallDisk
    logs: Path
    phone: Phone
    receiver: Receiver
    sight: LogSight
    environment: dict[str, str]
    provider: Proxy = field(default_factory=lambda: Proxy(("127.0.0.1", free_port())))
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of services that are to run otherwise than by default."""
    children: dict[str, Child] = field(default_factory=dict)
    second: list[Child] = field(default_factory=list)
    restarts: int = 0
    down: set[str] = field(default_factory=set)
    """Services that are kept down."""
    _keeper: "asyncio.Task[None] | None" = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['API_PORT']}"

    @property
    def settings(self) -> Settings:
        """As the checker needs them: past the proxy."""
        return Settings(
            kafka_bootstrap_servers=self.broker.bootstrap_servers,
            topic_prefix=self.environment["TOPIC_PREFIX"],
            topic_partitions=int(self.environment["TOPIC_PARTITIONS"]),
        )

    async def start(self) -> None:
        await ensure_topics(self.settings)
        receiver_port = int(self.environment["WEBHOOK_ALLOWED_PRIVATE_HOSTS"].rpartition(":")[2])
        await self.receiver.start(receiver_port)
        assert not isinstance(self.provider.target, str)
        await self.phone.start(self.provider.target[1])
        await self.provider.start()
        self.environment["PROVIDER_URL"] = f"http://127.0.0.1:{self.provider.port}"
        for service in SERVICES:
            self.set_clock(service, 0.0)
            self.children[service] = self._child(service, service)
            self.children[service].start()
        self._keeper = asyncio.create_task(self._keep())
        await self.sight.start()
        await self.until_ready(60)

    def _child(self, service: str, name: str, **more: str) -> Child:
        environment = self.environment | {OFFSET_VARIABLE: str(self.clock_file(service))} | more
        return Child(
            name=name,
            command=self.commands.get(service, (sys.executable, "-m", "tests.chaos.observed", service)),
            environment=environment,
            log_file=self.logs / f"{name}.log",
            ready_url=f"http://127.0.0.1:{environment[f'{service.upper()}_PORT']}/health/ready",
        )

    def clock_file(self, service: str) -> Path:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{service}.clock-offset"

    def set_clock(self, service: str, ahead_seconds: float) -> None:
        """Move the service's wall clock; by a rename, so that nobody reads half a number."""
        draft = self.clock_file(service).with_suffix(".draft")
        draft.write_text(str(ahead_seconds))
        draft.replace(self.clock_file(service))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            for service, child in self.children.items():
                if not child.runs() and service not in self.down and time.monotonic() - child.started_at > 1:
                    self.restarts += 1
                    child.environment = self._child(service, service).environment
                    child.start()

    def restart_with(self, service: str, **environment: str) -> None:
        """kill -9, and start with more in its environment; after its next end it is started as it was."""
        child = self.children[service]
        child.kill()
        child.environment = self._child(service, service, **environment).environment
        child.start()

    def arm(self, service: str, point: str) -> None:
        """Restart the service with a fail point."""
        self.restart_with(service, **{VARIABLE: point})

    def start_second(self, service: str) -> Child:
        """A further instance of the service, on a port of its own."""
        child = self._child(service, f"{service}-{len(self.second) + 2}", **{f"{service.upper()}_PORT": str(free_port())})
        self.second.append(child)
        child.start()
        return child

    async def stop_second(self) -> None:
        """All further instances leave."""
        leaving, self.second = self.second, []
        for child in leaving:
            if child.runs():
                child.send(signal.SIGCONT)
        await asyncio.gather(*(child.stop(5) for child in leaving))

    async def keep_down(self, *services: str) -> None:
        """Stop them, and do not start them again until `bring_up`."""
        self.down.update(services)
        await asyncio.gather(*(self.children[service].stop(5) for service in services))

    def bring_up(self) -> None:
        self.down.clear()

    async def not_ready(self) -> list[str]:
        """What is missing, by service."""
        async with aiohttp.ClientSession() as http:
            lacks = await asyncio.gather(*(child.not_ready(http) for child in self.children.values()))
        return [f"{child.name}: {lack}" for child, lack in zip(self.children.values(), lacks, strict=True) if lack is not None]

    async def tell_where_they_stand(self) -> None:
        """Every process writes the stacks of its threads and tasks into its log."""
        for child in self.children.values():
            if child.runs():
                child.send(signal.SIGUSR1)
        await asyncio.sleep(1)

    async def until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while lacks := await self.not_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready within {seconds:g} s: {lacks}")
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Kill everything: what it keeps goes with it."""
        if self._keeper is not None:
            await cancel_all([self._keeper])
        for child in (*self.children.values(), *self.second):
            child.kill()
        await self.sight.stop()
        await self.phone.stop()
        await self.provider.stop()
        await self.receiver.stop()
        await self.database.close()
        self.disk.unmount()


def build_stack(
    name: str, broker: Broker, kafka: Proxy, database: ReadModelDatabase, disk: SmallDisk, logs: Path, **more: str
) -> ChaosStack:
    """A stack with topics and ports of its own, none of its processes started."""
    receiver = Receiver(_WEBHOOK_SECRET)
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka.port}",
        "TOPIC_PREFIX": f"{name}-",
        "TOPIC_PARTITIONS": "2",
        "DATA_DIR": str(disk.directory),
        "DATABASE_URL": database.url,
        "CALLBACK_SECRET": "callbacks-under-chaos",
        "WEBHOOK_SECRET": _WEBHOOK_SECRET,
        "WEBHOOK_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{free_port()}",
        **_TIMES,
        **{f"{service.upper()}_PORT": str(free_port()) for service in SERVICES},
        **more,
    }
    sight = LogSight(broker.bootstrap_servers, f"{name}-", 2, Fold(int(environment["ORG_CONCURRENCY_LIMIT"])))
    return ChaosStack(name, broker, kafka, database, disk, logs, Phone(), receiver, sight, environment)


def is_on_postgres(stack: ChaosStack) -> bool:
    return isinstance(stack.database, PostgresDatabase)
