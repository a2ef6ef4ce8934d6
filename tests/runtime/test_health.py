"""Health over HTTP: alive, ready or what is missing, and the metrics of this process only."""

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import Counter

from services.runtime.errors import StartupError
from services.runtime.health import Health, serve_health

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def client(health: Health) -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(health.routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def _fine() -> str | None:
    return None


async def _behind() -> str | None:
    return "3 partitions behind"


async def _broken() -> str | None:
    raise OSError("postgresql://user:secret@host refused")


async def test_it_is_alive_while_it_is_not_ready(health: Health, client: Client) -> None:
    health.checks["log"] = _behind
    assert (await client.get("/health/live")).status == 200


async def test_it_is_ready_when_every_check_is_fine(health: Health, client: Client) -> None:
    health.checks["log"] = _fine
    assert (await client.get("/health/ready")).status == 200


async def test_it_names_what_is_not_ready(health: Health, client: Client) -> None:
    health.checks |= {"database": _fine, "log": _behind}
    answer = await client.get("/health/ready")
    assert answer.status == 503
    assert (await answer.json())["missing"] == {"log": "3 partitions behind"}


async def test_a_check_that_fails_is_not_ready_and_tells_no_secret(health: Health, client: Client) -> None:
    health.checks["database"] = _broken
    answer = await client.get("/health/ready")
    assert answer.status == 503
    assert (await answer.json())["missing"] == {"database": "the check failed: OSError"}


async def test_metrics_are_those_of_its_own_registry(health: Health, client: Client) -> None:
    Counter("calls_dialed", "Calls that were placed", registry=health.registry).inc(3)
    text = await (await client.get("/metrics")).text()
    assert "calls_dialed_total 3.0" in text
    assert "python_info" not in text


async def test_a_port_in_use_is_one_line(health: Health) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"can not listen on 127.0.0.1:{port}"):
            await serve_health(health, "127.0.0.1", port)
