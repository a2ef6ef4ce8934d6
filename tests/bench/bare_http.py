"""Owns the ceiling of what an HTTP read can cost: an aiohttp handler that returns the bytes in a file, and does nothing else.

`python -m tests.bench.bare_http PORT FILE`
"""

import asyncio
import sys
from pathlib import Path

from aiohttp import web


def bare_app(body: bytes) -> web.Application:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/v2/campaign/{id}", handle)
    return app


async def _serve(port: int, body: bytes) -> None:
    runner = web.AppRunner(bare_app(body), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
