"""Owns the callbacks: what they say (contract, "Telephony callbacks"), and that they are tried again, not for ever."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson

from services.runtime.clock import Clock
from services.simulator.calls import Calls, SimulatedCall
from services.simulator.network import Network
from services.simulator.script import Callback
from services.simulator.timeline import Timeline

_WORKERS = 64
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_LONGEST_RETRY_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Callbacks:
    """Sends each call's callbacks one after the other, each at its time or as soon as the one before is done with.

    At most one of a call waits at any time, so what waits is bounded by the calls.
    """

    def __init__(self, http: aiohttp.ClientSession, clock: Clock, timeline: Timeline, calls: Calls, network: Callable[[], Network]) -> None:
        self._http = http
        self._clock = clock
        self._timeline = timeline
        self._calls = calls
        self._network = network
        self._due: asyncio.Queue[SimulatedCall] = asyncio.Queue()

    def begin(self, call: SimulatedCall) -> None:
        """Plan the call's next callback, if one is left."""
        if call.callback_url is None or call.next_callback >= len(call.script.callbacks):
            return
        due = call.real_time(call.script.callbacks[call.next_callback].after_seconds)
        self._timeline.at(due, lambda: self._due.put_nowait(call))

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(*(self._work() for _ in range(_WORKERS)))

    async def _work(self) -> None:
        while True:
            call = await self._due.get()
            callback = call.script.callbacks[call.next_callback]
            call.tries += 1
            if await self._posted(call, callback):
                self._calls.callbacks["delivered"] += 1
                if callback.misbehaves:
                    self._calls.callbacks[callback.misbehaves] += 1
            elif call.tries < self._network().callback_tries:
                self._try_again(call)
                continue
            else:
                self._calls.callbacks["givenUp"] += 1
                _log.warning("a callback was given up", extra={"action": "give-up-callback", "call": call.id})
            call.next_callback += 1
            call.tries = 0
            self.begin(call)

    def _try_again(self, call: SimulatedCall) -> None:
        self._calls.callbacks["retried"] += 1
        wait_seconds = min(self._network().callback_retry_real_seconds * 2 ** (call.tries - 1), _LONGEST_RETRY_SECONDS)
        self._timeline.at(self._clock.monotonic() + wait_seconds, lambda: self._due.put_nowait(call))

    async def _posted(self, call: SimulatedCall, callback: Callback) -> bool:
        body = orjson.dumps({"message": message_of(call, callback, self._clock)})
        headers = {"Content-Type": "application/json"}
        try:
            async with self._http.post(call.callback_url or "", data=body, headers=headers, timeout=_TIMEOUT) as response:
                await response.read()
                return response.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            _log.debug("a callback did not arrive", extra={"action": "callback", "call": call.id, "error": type(error).__name__})
            return False


def message_of(call: SimulatedCall, callback: Callback, clock: Clock) -> dict[str, Any]:
    """The `message` of the callback."""
    timestamp = int(clock.now().timestamp() * 1000)
    named = {"id": call.id, "metadata": call.metadata}
    if callback.status is None:
        return {"type": "end-of-call-report", "timestamp": timestamp, "call": named, **call.ending()}
    message: dict[str, Any] = {"type": "status-update", "status": callback.status, "timestamp": timestamp, "call": named}
    if callback.status == "ended":
        message["endedReason"] = call.script.ended_reason
    return message
