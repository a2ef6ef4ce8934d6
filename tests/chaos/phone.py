"""Owns the scripted call provider: a real HTTP server that counts what it is asked for, and calls back as each call's id says."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from services.runtime.cancelling import cancel_all

_RETRY_SECONDS = 0.3
_RETRY_FOR_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Post:
    """One `POST /call`; `taken`: the provider has the call from then on, whatever it answered."""

    call_id: str
    attempt: int
    campaign_id: str
    org_id: str
    taken: bool


@dataclass(slots=True)
class Phone:
    """`most_at_once` says of each campaign and org how many calls it ever had at once."""

    posts: list[Post] = field(default_factory=list)
    most_at_once: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _active: Counter[str] = field(default_factory=Counter)
    _found: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    _declined: set[str] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _runner: web.AppRunner | None = None
    _http: aiohttp.ClientSession | None = None

    async def start(self, port: int) -> None:
        app = web.Application()
        app.router.add_post("/call", self._place)
        app.router.add_get("/call", self._find)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        self.port = port

    async def stop(self) -> None:
        await cancel_all(self._tasks)
        if self._http is not None:
            await self._http.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _place(self, request: web.Request) -> web.Response:
        body = await request.json()
        overrides = body.get("assistantOverrides") or body.get("squadOverrides")
        ids, url = overrides["metadata"], overrides["server"]["url"]
        call_id, attempt = ids["callId"], int(ids["attempt"])
        fate = _fate(call_id)
        if fate == "busy line" and call_id not in self._declined:
            self._declined.add(call_id)
            self._note(ids, taken=False)
            return web.json_response({}, status=429, headers={"Retry-After": "0"})
        if fate == "refused":
            self._note(ids, taken=False)
            return web.json_response({"message": "no"}, status=400)
        self._note(ids, taken=True)
        provider_id = f"p-{call_id}-{attempt}"
        self._begin(ids, url, provider_id, fate)
        if fate == "hangs up" and request.transport is not None:
            request.transport.abort()
        return web.json_response({"id": provider_id}, status=500 if fate == "fails" else 201)

    async def _find(self, request: web.Request) -> web.Response:
        found = self._found.get((request.query["metadataCallId"], int(request.query["attempt"])))
        return web.json_response([] if found is None else [found])

    def _note(self, ids: dict[str, Any], *, taken: bool) -> None:
        self.posts.append(Post(ids["callId"], int(ids["attempt"]), ids["campaignId"], ids["orgId"], taken))

    def _begin(self, ids: dict[str, Any], url: str, provider_id: str, fate: str) -> None:
        for name in (ids["campaignId"], ids["orgId"]):
            self._active[name] += 1
            self.most_at_once[name] = max(self.most_at_once[name], self._active[name])
        task = asyncio.create_task(self._live(ids, url, provider_id, fate))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, ids: dict[str, Any], url: str, provider_id: str, fate: str) -> None:
        call = self._found[ids["callId"], int(ids["attempt"])] = {"id": provider_id, "status": "queued", "metadata": ids}
        talks = fate != "no answer"
        ended = {"status": "ended", "endedReason": "customer-ended-call" if talks else "customer-did-not-answer"}
        said: list[tuple[float, dict[str, Any]]] = [(0.03, {"status": "ringing"})]
        said += [(0.05, {"status": "in-progress"})] if talks else []
        said += [(0.1 + _draw(ids["callId"], "length") * 0.4, ended)]
        for seconds, update in said:
            await asyncio.sleep(seconds)
            call |= update
            if update is ended:
                for name in (ids["campaignId"], ids["orgId"]):
                    self._active[name] -= 1
            self._call_back(url, [{"type": "status-update", **update, "call": {"id": provider_id}}], doubled=fate == "stutters")
        report = {"type": "end-of-call-report", "endedReason": ended["endedReason"], "cost": 0.01, "call": {"id": provider_id}}
        self._call_back(url, [report], doubled=fate == "stutters")

    def _call_back(self, url: str, messages: Iterable[dict[str, Any]], *, doubled: bool) -> None:
        for message in messages:
            for _ in range(2 if doubled else 1):
                task = asyncio.create_task(self._tell(url, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _tell(self, url: str, message: dict[str, Any]) -> None:
        assert self._http is not None
        until = time.monotonic() + _RETRY_FOR_SECONDS
        while time.monotonic() < until:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with self._http.post(url, json={"message": message}) as response:
                    if response.status < 300:
                        return
            await asyncio.sleep(_RETRY_SECONDS)


def _draw(*parts: str) -> float:
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:4]) / 2**32


def _fate(call_id: str) -> str:
    draw = _draw(call_id, "fate")
    for share, fate in (
        (0.03, "refused"),
        (0.05, "busy line"),
        (0.07, "fails"),
        (0.09, "hangs up"),
        (0.14, "stutters"),
        (0.2, "no answer"),
    ):
        if draw < share:
            return fate
    return "talks"
