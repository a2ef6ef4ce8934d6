"""Runs a call provider that answers at once, in a process of its own: `python -m tests.bench.instant_provider PORT`.

It takes `POST /call`, and says that the call has ended as soon as it has answered. `GET /seen` tells what it counted: every POST,
those that named an attempt which it knew, and the most calls that were under way at one instant, of each campaign and of each org.
"""

import asyncio
import sys
from collections import Counter

import aiohttp
import orjson
from aiohttp import web

_CONNECTIONS = 64


class InstantProvider:
    """A call is under way here from its POST until just before its end is told: so never longer than the engine counts it."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._known: set[tuple[str, int]] = set()
        self._active: Counter[str] = Counter()
        self._most: Counter[str] = Counter()
        self._posts = 0
        self._doubled = 0
        self._lost = 0
        self._telling: set[asyncio.Task[None]] = set()

    async def place(self, request: web.Request) -> web.Response:
        call = orjson.loads(await request.read())
        ours = call["assistantOverrides"]["metadata"]
        attempt = (ours["callId"], ours["attempt"])
        self._posts += 1
        self._doubled += attempt in self._known
        self._known.add(attempt)
        for name in (ours["orgId"], ours["campaignId"]):
            self._active[name] += 1
            self._most[name] = max(self._most[name], self._active[name])
        task = asyncio.create_task(self._end(ours, call["assistantOverrides"]["server"]["url"]))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return web.Response(body=orjson.dumps({"id": f"instant-{self._posts}"}), status=201, content_type="application/json")

    async def _end(self, ours: dict[str, str], url: str) -> None:
        for name in (ours["orgId"], ours["campaignId"]):
            self._active[name] -= 1
        report = {"message": {"type": "end-of-call-report", "endedReason": "customer-ended-call", "call": {"id": "instant"}}}
        for _ in range(3):
            try:
                async with self._http.post(url, data=orjson.dumps(report), headers={"Content-Type": "application/json"}) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
        self._lost += 1

    async def seen(self, request: web.Request) -> web.Response:
        return web.json_response({"posts": self._posts, "doubled": self._doubled, "lost": self._lost, "most": dict(self._most)})


async def _serve(port: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONNECTIONS)) as http:
        provider = InstantProvider(http)
        app = web.Application()
        app.add_routes([web.post("/call", provider.place), web.get("/seen", provider.seen)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
