"""Owns how a user asks over HTTP: as SDKs do, again under the same key until the request is answered for good."""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.chaos.promises import Promises

_ASK_FOR_SECONDS = 60.0
NOT_ACCEPTED = "the log can not take the request now"
MakeBody = Callable[[], dict[str, Any]]
"""The arguments of a request that hold its body: made anew for each try, as forms are used up."""


@dataclass(slots=True)
class HttpUser:
    """`answers` counts how often each status came to `ask`."""

    url: str
    key: str
    rng: random.Random
    promises: Promises
    answers: Counter[int] = field(default_factory=Counter)

    async def ask(self, method: str, path: str, body: MakeBody) -> tuple[int | None, dict[str, Any]]:
        """The first answer that is not 503; after a minute of those the last one, or `None` where none came."""
        headers = {"Idempotency-Key": str(uuid.UUID(int=self.rng.getrandbits(128)))}
        until, status, answer = time.monotonic() + _ASK_FOR_SECONDS, None, dict[str, Any]()
        while time.monotonic() < until:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                status, answer = await self._ask(method, path, headers | self._key(), body())
                self.answers[status] += 1
                if status == 500:
                    self.promises.faults.append(f"degradation: {method} {path} was answered by 500: {answer}")
                if status != 503:
                    return status, answer
            await asyncio.sleep(0.4)
        return status, answer

    async def ask_once(self, campaign: dict[str, Any]) -> tuple[int | None, str]:
        """One creation without repeats, in the middle of a fault: its status and message."""
        try:
            status, answer = await self._ask("POST", "/campaign", self._key(), {"json": campaign})
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None, ""
        if status == 201:
            self.promises.acknowledged.add(campaign["name"])
        elif status == 503 and answer["message"] == NOT_ACCEPTED:
            self.promises.refused.add(campaign["name"])
        return status, str(answer.get("message", ""))

    async def get(self, path: str) -> tuple[int, Any]:
        """One read. Raises what aiohttp raises."""
        return await self._ask("GET", path, self._key(), {})

    def _key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=15)) as http,
            http.request(method, self.url + path, **body) as response,
        ):
            return response.status, await response.json()
