"""Owns a customer's server that counts what it is told, and verifies signatures by OpenSSL instead of our own code."""

import asyncio
import base64
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(slots=True)
class Told:
    """One request as it came."""

    headers: Any
    body: bytes

    @property
    def id(self) -> str:
        return str(self.headers["webhook-id"])

    @property
    def sequence(self) -> int:
        return int(self.headers["webhook-sequence"])

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(self.body)["message"]
        return message


@dataclass(slots=True)
class Receiver:
    """Answers with `status` once `gate` is open; `statuses` are used up first."""

    told: list[Told] = field(default_factory=list)
    status: int = 200
    statuses: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    host: str = ""
    at_once: int = 0
    most_at_once: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.told.append(Told(request.headers, await request.read()))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        status = self.statuses.pop(0) if self.statuses else self.status
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    def names(self) -> list[str]:
        return [told.message["eventType"] for told in self.told]

    def times(self) -> Counter[str]:
        return Counter(told.id for told in self.told)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver, app = Receiver(), web.Application()
    receiver.gate.set()
    app.router.add_post("/{any:.*}", receiver.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        receiver.url, receiver.host = str(server.make_url("/in")), f"127.0.0.1:{server.port}"
        yield receiver
        receiver.gate.set()


def signature_by_openssl(secret: str, told: Told) -> str:
    """What Standard Webhooks wants in `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix("whsec_")).hex()
    signed = f"{told.id}.{told.headers['webhook-timestamp']}.".encode() + told.body
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    return "v1," + base64.b64encode(subprocess.run(command, input=signed, capture_output=True, check=True).stdout).decode()
