"""Owns the providers of the contract suite: each a real HTTP server that counts what it gets and answers as the test says."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from services.dialer.provider import CallProvider
from services.dialer.twilio_provider import TwilioProvider
from services.dialer.vapi_provider import VapiCompatibleProvider
from services.runtime.provider_choice import TwilioConfig
from tests.dialer.given import settle

SID = "CA" + "0" * 31 + "7"
ACCOUNT = "AC" + "a" * 32
TIMEOUT_SECONDS = 0.5


@dataclass
class FakeProvider:
    """What listens at the other end. `answer` may hang, or hang up once it has the request."""

    taken: tuple[int, dict[str, Any]]
    """What the real one answers when it takes a call."""
    answer: tuple[int, Any] | str = (200, {})
    headers: dict[str, str] = field(default_factory=dict)
    in_pieces: bool = False
    """Whether an answer's content is sent in two pieces, with time between them to read the first."""
    posts: list[web.Request] = field(default_factory=list)
    forms: list[list[tuple[str, str]]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._respond)
        return app

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        self.posts.append(request)
        if request.content_type == "application/x-www-form-urlencoded":
            self.forms.append([(name, str(value)) for name, value in (await request.post()).items()])
        match self.answer:
            case "taken":
                return await self._say(request, *self.taken)
            case "hangs":
                await asyncio.sleep(60)
            case "hangs up":
                await request.read()
                assert request.transport is not None
                request.transport.abort()
            case (int(status), content):
                return await self._say(request, status, content)
        return web.Response()

    async def _say(self, request: web.Request, status: int, content: Any) -> web.StreamResponse:
        if not self.in_pieces:
            return web.json_response(content, status=status, headers=self.headers)
        body = json.dumps(content).encode()
        response = web.StreamResponse(status=status, headers=self.headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:-2])
        await settle()
        await response.write(body[-2:])
        return response


def vapi(http: aiohttp.ClientSession, url: str) -> CallProvider:
    return VapiCompatibleProvider(http, url, "key", name="vapi", can_find=False, timeout_seconds=TIMEOUT_SECONDS, connect_seconds=2)


def twilio_config(url: str, **changes: Any) -> TwilioConfig:
    given = {
        "kind": "twilio",
        "accountSid": ACCOUNT,
        "authToken": "12345",
        "url": "https://app.example.com/voice?tone=warm",
        "callers": {"phone-1": "+14155550100"},
        "apiUrl": url,
    }
    return TwilioConfig.model_validate(given | changes)


def twilio(http: aiohttp.ClientSession, url: str) -> CallProvider:
    return TwilioProvider(http, twilio_config(url), name="twilio", timeout_seconds=TIMEOUT_SECONDS, connect_seconds=2)


ADAPTERS: dict[str, tuple[Callable[[aiohttp.ClientSession, str], CallProvider], tuple[int, dict[str, Any]]]] = {
    "vapi": (vapi, (201, {"id": "p-1"})),
    "twilio": (twilio, (201, {"sid": SID, "status": "queued"})),
}
