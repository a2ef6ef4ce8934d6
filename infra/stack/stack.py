"""Owns the running stack: starts the broker and the services, restarts what ends, stops all in order."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from infra.kafka.broker import START_SECONDS, Broker, BrokerError
from infra.stack.child import Child
from infra.stack.errors import StackError
from services.runtime.cancelling import cancel_all
from services.runtime.errors import StartupError
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics

_READY_SECONDS = 60.0
_CANNOT_START = 2
_STARTS_BEFORE_READY = 3
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 10.0
_STEADY_SECONDS = 60.0

Say = Callable[[str], None]


@dataclass(slots=True)
class Stack:
    """The processes in the order of starting, and their broker if it is not somebody else's; an async context that is ready inside."""

    settings: Settings
    children: dict[str, Child]
    say: Say
    broker: Broker | None = None
    starts: dict[str, int] = field(default_factory=dict)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(self._stop)
            await self._start()
            on_failure.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stop()

    async def _start(self) -> None:
        if self.broker is not None:
            await self._start_broker(self.broker)
        try:
            await ensure_topics(self.settings)
        except StartupError as error:
            raise StackError(str(error)) from error
        if self.broker is not None:
            self._keepers.append(asyncio.create_task(self._keep_broker(self.broker)))
        for child in self.children.values():
            self._launch(child)
            self._keepers.append(asyncio.create_task(self._keep(child)))
        async with aiohttp.ClientSession() as http:
            for child in self.children.values():
                await self._until_ready(child, http)

    async def _start_broker(self, broker: Broker) -> None:
        deadline = time.monotonic() + START_SECONDS
        try:
            broker.launch()
            while not broker.answers():
                if time.monotonic() > deadline:
                    raise StackError(f"the broker did not answer within {START_SECONDS:.0f} s (its log is {broker.log_file})")
                await asyncio.sleep(0.05)
        except BrokerError as error:
            raise StackError(str(error)) from error

    def _launch(self, child: Child) -> None:
        child.start()
        self.starts[child.name] = self.starts.get(child.name, 0) + 1

    async def _until_ready(self, child: Child, http: aiohttp.ClientSession) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while (lack := await child.not_ready(http)) is not None:
            self._require_that_all_can_start()
            if time.monotonic() > deadline:
                raise StackError(f"the {child.name} was not ready within {_READY_SECONDS:.0f} s: {lack} (its log is {child.log_file})")
            await asyncio.sleep(0.1)

    def _require_that_all_can_start(self) -> None:
        ended = [child for child in self.children.values() if child.exit_code is not None]
        for child in sorted(ended, key=lambda child: child.exit_code != _CANNOT_START):
            if child.exit_code == _CANNOT_START or self.starts[child.name] >= _STARTS_BEFORE_READY:
                raise StackError(f"the {child.name} can not start: {child.last_words()} (its log is {child.log_file})")

    async def _keep(self, child: Child) -> None:
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            code = await child.ended()
            wait_seconds = _FIRST_WAIT_SECONDS if time.monotonic() - child.started_at > _STEADY_SECONDS else wait_seconds
            self.say(f"the {child.name} ended ({_ending(code)}), started again in {wait_seconds:g} s; its log is {child.log_file}")
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, _LONGEST_WAIT_SECONDS)
            self._launch(child)

    async def _keep_broker(self, broker: Broker) -> None:
        while True:
            await asyncio.sleep(0.5)
            if broker.process is not None and (code := broker.process.poll()) is not None:
                self.say(f"the broker ended ({_ending(code)}), started again; its log is {broker.log_file}")
                try:
                    await self._start_broker(broker)
                except StackError as error:
                    self.say(f"{error}; tried again in {_LONGEST_WAIT_SECONDS:g} s")
                    await asyncio.sleep(_LONGEST_WAIT_SECONDS)

    async def _stop(self) -> None:
        await cancel_all(self._keepers)
        self._keepers.clear()
        for child in reversed(self.children.values()):
            if not await child.stop():
                self.say(f"the {child.name} did not stop in time and was killed; its log is {child.log_file}")
        if self.broker is not None:
            self.broker.stop()


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
