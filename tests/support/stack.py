"""Owns the stack of an end-to-end test: the real services as processes, each of which the test can kill and start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from infra.kafka.broker import Broker
from infra.stack.child import Child
from infra.stack.client import api_url, create_key
from infra.stack.plan import children_of
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics

READY_SECONDS = 60.0


@dataclass(slots=True)
class RunningStack:
    """Nothing is restarted by itself: what the test kills stays down until the test starts it."""

    settings: Settings
    children: dict[str, Child]
    broker: Broker | None = None

    @property
    def api_url(self) -> str:
        return api_url(self.settings)

    async def create_key(self, org: str) -> str:
        """A new API key of the org."""
        return await create_key(self.settings, org, "test", next(iter(self.children.values())).environment)

    async def start(self, name: str) -> None:
        """Start the service, or the broker by the name "broker", and wait until it is ready."""
        if name == "broker":
            self._own_broker().start()
            return
        self.children[name].start()
        await self.until_ready(name)

    def kill(self, name: str) -> None:
        """kill -9."""
        if name == "broker":
            self._own_broker().kill()
        else:
            self.children[name].kill()

    async def stop(self, name: str) -> None:
        """SIGTERM; an assertion where the service does not stop cleanly."""
        child = self.children[name]
        assert await child.stop(), f"the {name} did not stop on SIGTERM"
        assert child.exit_code == 0, f"the {name} ended with {child.exit_code}: {child.last_words()}"

    async def until_ready(self, name: str) -> None:
        """An assertion, with what is missing, where the service ends or is not ready in time."""
        child = self.children[name]
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with aiohttp.ClientSession() as http:
            while (lack := await child.not_ready(http)) is not None:
                assert child.runs(), f"the {name} ended with {child.exit_code}: {child.last_words()}"
                assert asyncio.get_running_loop().time() < deadline, f"the {name} is not ready: {lack}"
                await asyncio.sleep(0.05)

    def _own_broker(self) -> Broker:
        assert self.broker is not None, "this stack shares the session's broker: ask for one of its own"
        return self.broker


@asynccontextmanager
async def running_stack(settings: Settings, broker: Broker | None, **environment: str) -> AsyncIterator[RunningStack]:
    """All services, ready, until the block ends; they are killed then, since what they keep goes with the test."""
    await ensure_topics(settings)
    stack = RunningStack(settings, children_of(settings, **environment), broker)
    try:
        for child in stack.children.values():
            child.start()
        for name in stack.children:
            await stack.until_ready(name)
        yield stack
    finally:
        for child in stack.children.values():
            child.kill()
