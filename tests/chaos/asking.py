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
        idempotency_key = str(uuid.UUID(int=self.rng.getrandbits(128)))
        until, status, answer = time.monotonic() + _ASK_FOR_SECONDS, None, dict[str, Any]()
        while time.monotonic() < until:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                async with self.session(idempotency_key) as http:
                    status, answer = await answer_of(http, method, path, **body())
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
            async with self.session() as http:
                status, answer = await answer_of(http, "POST", "/campaign", json=campaign)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None, ""
        if status == 201:
            self.promises.acknowledged.add(campaign["name"])
        elif status == 503 and answer["message"] == NOT_ACCEPTED:
            self.promises.refused.add(campaign["name"])
        return status, str(answer.get("message", ""))

    async def get(self, path: str) -> tuple[int, Any]:
        """One read. Raises what aiohttp raises."""
        async with self.session() as http:
            return await answer_of(http, "GET", path)

    def session(self, idempotency_key: str | None = None) -> aiohttp.ClientSession:
        """For several reads over one connection; each request else has its own, lest it meets one that a fault has cut."""
        headers = {"Authorization": f"Bearer {self.key}"} | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        return aiohttp.ClientSession(self.url, headers=headers, timeout=aiohttp.ClientTimeout(total=15))


async def answer_of(http: aiohttp.ClientSession, method: str, path: str, **asked: Any) -> tuple[int, Any]:
    """The status and the JSON of one answer. Raises what aiohttp raises."""
    async with http.request(method, path, **asked) as response:
        return response.status, await response.json()
