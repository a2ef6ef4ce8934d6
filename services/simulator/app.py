"""Owns the provider's HTTP side: takes calls as Vapi's `POST /call` does, shows them, its counts and its settings."""

import asyncio
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any
from uuid import UUID, uuid5

import aiohttp
from aiohttp import web

from services.runtime.clock import Clock
from services.simulator.callbacks import Callbacks
from services.simulator.calls import Calls, SimulatedCall
from services.simulator.network import Network, WrongSettingsError
from services.simulator.script import Script, script_of
from services.simulator.timeline import Timeline

_NAMESPACE = UUID("0c9a3f7e-6f0b-5b55-8a5f-2d6f3c0f4e11")
_TARGETS = ("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow")
_OVERRIDES = ("assistantOverrides", "squadOverrides", "workflowOverrides")
_LARGEST_BODY = 4 * 1024 * 1024


@dataclass(slots=True)
class Simulator:
    """The network with its calls; `run` lets its time pass."""

    network: Network
    clock: Clock
    http: aiohttp.ClientSession
    calls: Calls = field(default_factory=Calls)
    timeline: Timeline = field(init=False)
    callbacks: Callbacks = field(init=False)

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.clock)
        self.callbacks = Callbacks(self.http, self.clock, self.timeline, self.calls, lambda: self.network)

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(self.timeline.run(), self.callbacks.run())

    def app(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.add_routes(
            [
                web.post("/call", self._create),
                web.get("/call", self._find),
                web.get("/call/{id}", self._show),
                web.get("/stats", self._stats),
                web.get("/settings", self._settings),
                web.put("/settings", self._change_settings),
            ]
        )
        return app

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if not request.headers.get("Authorization", "").removeprefix("Bearer ").strip():
            return _problem(401, "the key is missing: Authorization: Bearer <key>")
        body = await _json_object(request)
        if body is None:
            return _problem(400, "the body must be a JSON object")
        overrides = _overrides(body)
        metadata = overrides.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        ours = (str(metadata.get("callId", "")), str(metadata.get("attempt", "")))
        posts = self.calls.count_post(ours)
        if (wrong := _wrong(body)) is not None:
            self.calls.answers["invalid"] += 1
            return _problem(400, wrong)
        script = script_of(self.network, ours[0], _attempt(metadata))
        self.calls.answers[script.answer] += 1
        if script.answer in ("refused", "failed"):
            await self.clock.sleep(script.answer_real_seconds)
            return _problem(400, "the number can not be called") if script.answer == "refused" else _problem(503, "try again later")
        call = self._place(ours, posts, script, metadata, overrides)
        await self.clock.sleep(script.answer_real_seconds)
        if script.answer == "dropped" and request.transport is not None:
            request.transport.abort()
        return web.json_response(call.as_of(call.started), status=201)

    def _place(
        self, ours: tuple[str, str], posts: int, script: Script, metadata: dict[str, Any], overrides: dict[str, Any]
    ) -> SimulatedCall:
        server = overrides.get("server")
        call = SimulatedCall(
            id=str(uuid5(_NAMESPACE, f"{self.network.seed}|{ours[0]}|{ours[1]}|{posts}")),
            script=script,
            created_at=self.clock.now(),
            started=self.clock.monotonic(),
            scale=self.network.time_scale,
            callback_url=server.get("url") if isinstance(server, dict) else None,
            metadata=metadata,
        )
        self.calls.add(ours, call)
        self.calls.callbacks["lost"] += script.lost_callbacks
        self.timeline.at(call.real_time(script.ended_after_seconds), lambda: self.calls.end(ours, call))
        self.callbacks.begin(call)
        return call

    async def _show(self, request: web.Request) -> web.Response:
        call = self.calls.get(request.match_info["id"])
        if call is None:
            return _problem(404, "no such call")
        return web.json_response(call.as_of(self.clock.monotonic()))

    async def _find(self, request: web.Request) -> web.Response:
        """The calls, newest first, that were placed for `metadataCallId` and `attempt`: ours, Vapi has no such lookup."""
        ours = (request.query.get("metadataCallId", ""), request.query.get("attempt", ""))
        now = self.clock.monotonic()
        return web.json_response([call.as_of(now) for call in reversed(self.calls.find(ours))])

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.calls.stats(with_calls=request.query.get("calls") != "false"))

    async def _settings(self, request: web.Request) -> web.Response:
        return web.json_response(self.network.model_dump())

    async def _change_settings(self, request: web.Request) -> web.Response:
        """What is given is changed, for calls that are placed from now on."""
        body = await _json_object(request)
        if body is None:
            return _problem(400, "the body must be a JSON object")
        try:
            self.network = self.network.changed(body)
        except WrongSettingsError as error:
            return _problem(400, error.messages)
        return web.json_response(self.network.model_dump())


async def _json_object(request: web.Request) -> dict[str, Any] | None:
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None


def _wrong(body: dict[str, Any]) -> str | None:
    if sum(body.get(target) is not None for target in _TARGETS) != 1:
        return "exactly one of assistantId, squadId or workflowId is required"
    customer = body.get("customer")
    if not isinstance(customer, dict) or not (customer.get("number") or customer.get("sipUri")):
        return "customer.number is required"
    if body.get("phoneNumberId") is None and body.get("phoneNumber") is None:
        return "phoneNumberId is required"
    return None


def _overrides(body: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in _OVERRIDES:
        given = body.get(name)
        merged |= given if isinstance(given, dict) else {}
    return merged


def _attempt(metadata: dict[str, Any]) -> int:
    attempt = metadata.get("attempt")
    return attempt if isinstance(attempt, int) else 1


def _problem(status: int, message: str | list[str]) -> web.Response:
    reason = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 503: "Service Unavailable"}[status]
    return web.json_response({"message": message, "error": reason, "statusCode": status}, status=status)
