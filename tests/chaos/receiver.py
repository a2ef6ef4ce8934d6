"""Owns the customers' server: it counts the webhooks that come, checks their signatures by hand, and can keep silent for an org."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Receiver:
    """Everything that came, by the org whose URL it came to; what is wrong with it is said in `faults`."""

    secret: str
    times: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bytes] = field(default_factory=dict)
    sequences: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    """By campaign: which message had which number."""
    by_org: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    silent_orgs: set[str] = field(default_factory=set)
    predials: Counter[str] = field(default_factory=Counter)
    _runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        app = web.Application()
        app.router.add_post("/in/{org}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        org, body = request.match_info["org"], await request.read()
        message = json.loads(body)["message"]
        while org in self.silent_orgs:
            await asyncio.sleep(0.1)
            if request.transport is None:
                return web.Response(status=499)
        self._check_signature(org, request.headers, body)
        self.by_org[org].append(body)
        if message["type"] == "campaign.predial":
            self.predials[message["contact"]["id"]] += 1
            return web.json_response({"eligible": not message["contact"]["id"].endswith("0")})
        self._keep(request.headers, body, message)
        return web.Response()

    def _keep(self, headers: Any, body: bytes, message: dict[str, Any]) -> None:
        identifier, number = headers["webhook-id"], int(headers["webhook-sequence"])
        self.times[identifier] += 1
        if self.bodies.setdefault(identifier, body) != body:
            self.faults.append(f"I9: message {identifier} came with two bodies")
        if self.sequences[message["campaignId"]].setdefault(number, identifier) != identifier:
            self.faults.append(f"I9: number {number} of campaign {message['campaignId']} was given twice")

    def _check_signature(self, org: str, headers: Any, body: bytes) -> None:
        key = hmac.new(self.secret.encode(), f"webhooks\n{org}".encode(), hashlib.sha256).digest()
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if right not in headers["webhook-signature"].split():
            self.faults.append(f"I9: a message to {org} is not signed by its secret")
