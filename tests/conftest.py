"""Fixtures that every test may ask for; servers are started once a session and only when a test asks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from infra.kafka.broker import LIBS, Broker
from services.runtime.settings import Settings
from tests.support.kafka import running_broker
from tests.support.ports import free_port
from tests.support.postgres import fresh_database, running_postgres
from tests.support.stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap servers of a real Kafka."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as servers:
        yield servers


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real PostgreSQL server."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """A fresh, empty PostgreSQL database."""
    return fresh_database(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'read-model.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    """Settings of a stack of its own on the session's broker: fresh topics, data and ports, two partitions."""
    return Settings(
        kafka_bootstrap_servers=kafka,
        topic_prefix=f"t{uuid4().hex[:10]}-",
        topic_partitions=2,
        data_dir=tmp_path / "data",
        callback_secret="secret-of-the-tests",
        api_port=free_port(),
        engine_port=free_port(),
        projector_port=free_port(),
        dialer_port=free_port(),
        notifier_port=free_port(),
        simulator_port=free_port(),
    )


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A running broker from the jars that belongs to the test alone, which may kill it."""
    if not LIBS.exists():
        pytest.skip("the jars are not fetched where a cluster is named")
    broker = Broker(tmp_path / "broker", free_port(), free_port())
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def start_stack(settings: Settings) -> AsyncIterator[Callable[..., Awaitable[RunningStack]]]:
    """Starts all services: `await start_stack(ORG_CONCURRENCY_LIMIT="5")`, or with `broker=own_broker` on that broker."""
    async with AsyncExitStack() as running:

        async def start(*, broker: Broker | None = None, **environment: str) -> RunningStack:
            servers = settings.kafka_bootstrap_servers if broker is None else broker.bootstrap_servers
            own = settings.model_copy(update={"kafka_bootstrap_servers": servers})
            return await running.enter_async_context(running_stack(own, broker, **environment))

        yield start


@pytest.fixture
async def stack(start_stack: Callable[..., Awaitable[RunningStack]]) -> RunningStack:
    """All services as they are by default, as processes on the session's broker."""
    return await start_stack()
