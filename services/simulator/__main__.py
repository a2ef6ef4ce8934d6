"""Runs the simulated phone network: `python -m services.simulator`."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp

from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.process import run_service, until_stopped_or_failed
from services.runtime.serving import serve
from services.runtime.settings import Settings
from services.simulator.app import Simulator
from services.simulator.network import Network

_CONNECTIONS = 128
_MOST_CONNECTIONS = 10_000


async def _main(settings: Settings, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        network = Network.load()
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONNECTIONS)))
        simulator = Simulator(network, SystemClock(), http)
        app = simulator.app()
        app.add_routes(Health().routes())
        runner = await serve(app, settings.host, settings.simulator_port, shutdown_seconds=2.0, most_connections=_MOST_CONNECTIONS)
        stack.push_async_callback(runner.cleanup)
        await until_stopped_or_failed(stop, simulator.run())


if __name__ == "__main__":
    run_service(Settings, _main)
