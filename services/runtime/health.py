"""Owns how a process tells that it lives, that it can do its work, and what it has done."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from services.runtime.serving import serve

Check = Callable[[], Awaitable[str | None]]
"""`None` when ready, otherwise what is missing."""

HEALTH_ROUTES = ("/health/live", "/health/ready", "/metrics")
_CHECK_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Health:
    """Named readiness checks and the metrics of one process; every metric is registered in `registry`, never globally."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    checks: dict[str, Check] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """`GET /health/live`, `/health/ready` (503 names what is not ready) and `/metrics` (Prometheus text)."""
        handlers = (self._live, self._ready, self._metrics)
        return [web.get(path, handler) for path, handler in zip(HEALTH_ROUTES, handlers, strict=True)]

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
