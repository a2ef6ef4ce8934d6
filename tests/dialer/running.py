"""Owns the running dialers of the tests, in this process or as one of their own, and the provider that they ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from infra.stack.child import Child
from infra.stack.plan import children_of
from services.dialer.bootstrap import run_dialer
from services.dialer.settings import DialerSettings
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings
from services.simulator.app import Simulator
from tests.support.eventually import eventually


class Provider:
    """The simulator behind a gate: while the gate is closed a request is counted and its answer waits."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.url = ""
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @web.middleware
    async def wait_at_the_gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked += request.method == "POST"
        await self.gate.wait()
        response: web.StreamResponse = await handler(request)
        return response

    async def stats(self) -> dict[str, Any]:
        return self.simulator.calls.stats(with_calls=True)


@asynccontextmanager
async def running(settings: Settings, provider: Provider, port: int | None = None, **more: Any) -> AsyncIterator[None]:
    """A dialer in this process, ready."""
    changes = {"provider_url": provider.url, "dialer_port": port or settings.dialer_port, **more}
    own = DialerSettings(**settings.model_dump() | changes)
    stop = asyncio.Event()
    dialer = asyncio.create_task(run_dialer(own, SystemClock(), stop))
    try:
        async with aiohttp.ClientSession() as http:
            await eventually(lambda: is_ready(http, own.dialer_port))
        yield
    finally:
        stop.set()
        await asyncio.wait_for(dialer, 20)


async def is_ready(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def process(settings: Settings, provider: Provider) -> AsyncIterator[Child]:
    """A dialer as a process of its own, ready; killed at the end where it still runs."""
    child = children_of(settings, PROVIDER_URL=provider.url)["dialer"]
    try:
        await started(child)
        yield child
    finally:
        child.kill()


async def started(child: Child) -> None:
    child.start()
    async with aiohttp.ClientSession() as http:
        await eventually(lambda: child.not_ready(http), lambda lack: lack is None)
