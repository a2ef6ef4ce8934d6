"""Fixtures of the tests that run a dialer."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from services.runtime.clock import SystemClock
from services.runtime.settings import Settings
from services.simulator.app import Simulator
from services.simulator.network import Network
from tests.dialer.engine_by_hand import EngineByHand, engine_by_hand
from tests.dialer.running import Provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        provider = Provider(Simulator(Network(time_scale=1, callback_tries=1), SystemClock(), http))
        app = provider.simulator.app()
        app.middlewares.append(provider.wait_at_the_gate)
        server = await stack.enter_async_context(TestServer(app))
        provider.url = str(server.make_url("/"))
        yield provider
        provider.gate.set()


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[EngineByHand]:
    async with engine_by_hand(settings) as engine:
        yield engine
