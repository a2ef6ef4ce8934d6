"""Owns how a process tells that it lives, that it can do its work, and what it has done."""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from services.runtime.errors import StartupError

Check = Callable[[], Awaitable[str | None]]
"""`None` when ready, otherwise what is missing."""

_CHECK_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Health:
    """Named readiness checks and the metrics of one process; every metric is registered in `registry`, never globally."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    checks: dict[str, Check] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """`GET /health/live`, `/health/ready` (503 names what is not ready) and `/metrics` (Prometheus text)."""
        return [
            web.get("/health/live", self._live),
            web.get("/health/ready", self._ready),
            web.get("/metrics", self._metrics),
        ]

    async def _live(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, request: web.Request) -> web.Response:
        missing = {}
        for name, check in self.checks.items():
            try:
                async with asyncio.timeout(_CHECK_SECONDS):
                    problem = await check()
            except Exception as error:
                _log.warning("a readiness check failed", exc_info=error, extra={"action": "readiness-check", "check": name})
                problem = f"the check failed: {type(error).__name__}"
            if problem is not None:
                missing[name] = problem
        if missing:
            return web.json_response({"status": "not ready", "missing": missing}, status=503)
        return web.json_response({"status": "ok"})

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def serve_health(health: Health, host: str, port: int) -> web.AppRunner:
    """Serve the health routes alone; `await runner.cleanup()` stops them."""
    app = web.Application()
    app.add_routes(health.routes())
    return await serve(app, host, port)


async def serve(app: web.Application, host: str, port: int, shutdown_seconds: float = 10.0) -> web.AppRunner:
    """Start the app without signal handlers or access log; `await runner.cleanup()` finishes requests under way and stops.

    Raises `StartupError` where the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise StartupError(f"can not listen on {host}:{port}: {error.strerror}; use another port or host") from error
        raise
    return runner
