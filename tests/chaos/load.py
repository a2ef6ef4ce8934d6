"""Owns the users: what they ask over HTTP and by commands in a round, what was acknowledged, and what they are shown meanwhile."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.stack.client import create_key
from tests.chaos.stack import ChaosStack
from tests.support.odd_headers import OddBatch

MESSAGES = ["campaign.started", "campaign.ended", "contact.dispatched", "contact.completed", "contact.failed", "contact.skipped"]
_ASK_FOR_SECONDS = 60.0
_NOT_ACCEPTED = "the log can not take the request now"
_STATUS_RANK = {"scheduled": 0, "in-progress": 1, "ended": 2, "cancelled": 2, "archived": 3}


@dataclass(slots=True)
class Users:
    """`amy` and `bob` come over HTTP, `cy` by commands on Kafka. Every text of an org holds the org's name."""

    stack: ChaosStack
    rng: random.Random
    keys: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    """Names of campaigns that were answered by 201, and ids of commands that the broker acknowledged."""
    refused: set[str] = field(default_factory=set)
    """Names of campaigns of which the API said that nothing was accepted, and which were not asked for again."""
    stopped: dict[str, str] = field(default_factory=dict)
    """Campaigns of which a stop was acknowledged."""
    answers: dict[int, int] = field(default_factory=dict)
    """How often each HTTP status came."""
    faults: list[str] = field(default_factory=list)
    _seen: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    _producer: AIOKafkaProducer | None = None
    _watch: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        # no name that an id may hold, as it may hold `ada-`
        orgs = ("amy", "bob")
        made = await asyncio.gather(*(create_key(self.stack.settings, org, "chaos", self.stack.environment) for org in orgs))
        self.keys = dict(zip(orgs, made, strict=True))
        # takes commands larger than any may be, whose compressed batch the broker takes all the same
        own = {"compression_type": "lz4", "max_request_size": 4 * 1024 * 1024}
        self._producer = AIOKafkaProducer(bootstrap_servers=self.stack.broker.bootstrap_servers, enable_idempotence=True, acks="all", **own)
        await self._producer.start()
        self._watch = asyncio.create_task(self._keep_watching())

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._producer is not None:
            with suppress(TimeoutError, KafkaError, OSError, asyncio.CancelledError):
                async with asyncio.timeout(3):
                    await self._producer.stop()

    async def work(self, number: int, size: int) -> None:
        """One round's requests; returns when each was answered for good."""
        first = self._campaign("amy", f"{number}a", size, maxConcurrency=4)
        second = self._campaign("bob", f"{number}b", size // 2, maxConcurrency=3)
        third = self._campaign("amy", f"{number}c", size // 2, predialPlan={"enabled": True})
        await asyncio.gather(
            self._create("amy", first),
            self._create("bob", second),
            self._create("amy", third, after_seconds=self.rng.uniform(0, 1)),
            self._create_and_stop("bob", self._campaign("bob", f"{number}d", size, maxConcurrency=1)),
            self._command(f"{number}e", size // 2),
        )

    def _campaign(self, org: str, tag: str, count: int, **more: Any) -> dict[str, Any]:
        host = self.stack.environment["WEBHOOK_ALLOWED_PRIVATE_HOSTS"]
        plan = {"type": "fixed", "maxRetries": 10, "baseDelaySeconds": 2}
        return {
            "name": f"{org}-campaign-{tag}",
            "assistantId": f"{org}-assistant",
            "phoneNumberId": f"{org}-number",
            "customers": [{"number": f"+1415{self.rng.randrange(10**7):07d}", "name": f"{org}-customer"} for _ in range(max(1, count))],
            "server": {"url": f"http://{host}/in/{org}", "timeoutSeconds": 1, "backoffPlan": plan},
            "serverMessages": MESSAGES,
            **more,
        }

    async def _create(self, org: str, body: dict[str, Any], after_seconds: float = 0.0) -> str | None:
        await asyncio.sleep(after_seconds)
        status, answer = await self._ask(org, "POST", "/campaign", body)
        if status == 201:
            self.acknowledged.add(body["name"])
            return str(answer["id"])
        if status is not None and status != 503:
            self.faults.append(f"I1: the creation of {body['name']} was answered by {status}: {answer}")
        return None

    async def _create_and_stop(self, org: str, body: dict[str, Any]) -> None:
        created = await self._create(org, body)
        if created is None:
            return
        await asyncio.sleep(self.rng.uniform(0.1, 0.8))
        status, answer = await self._ask(org, "PATCH", f"/campaign/{created}", {"status": "ended"})
        if status == 200:
            self.stopped[created] = answer["status"]
        elif status is not None and status != 503:
            self.faults.append(f"I1: the stop of {created} was answered by {status}: {answer}")

    async def _ask(self, org: str, method: str, path: str, body: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
        """Again under the same key, as SDKs do, until it is answered by anything else than 503."""
        headers = {"Authorization": f"Bearer {self.keys[org]}", "Idempotency-Key": str(uuid.UUID(int=self.rng.getrandbits(128)))}
        until, status, answer = time.monotonic() + _ASK_FOR_SECONDS, None, dict[str, Any]()
        while time.monotonic() < until:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                timeout = aiohttp.ClientTimeout(total=15)
                async with (
                    aiohttp.ClientSession(headers=headers, timeout=timeout) as http,
                    http.request(method, self.stack.api_url + path, json=body) as response,
                ):
                    status, answer = response.status, await response.json()
                    self.answers[status] = self.answers.get(status, 0) + 1
                if status not in (503, 500):
                    return status, answer
                if status == 500:
                    self.faults.append(f"degradation: {method} {path} was answered by 500: {answer}")
                    return status, answer
            await asyncio.sleep(0.4)
        return status, answer

    async def ask_once(self, name: str) -> tuple[int | None, str]:
        """One creation without repeats, in the middle of a fault: its status and message."""
        headers = {"Authorization": f"Bearer {self.keys['bob']}"}
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=15)) as http,
                http.post(self.stack.api_url + "/campaign", json=self._campaign("bob", name, 1)) as response,
            ):
                answer = await response.json()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None, ""
        full_name = f"bob-campaign-{name}"
        if response.status == 201:
            self.acknowledged.add(full_name)
        elif response.status == 503 and answer["message"] == _NOT_ACCEPTED:
            self.refused.add(full_name)
        return response.status, str(answer.get("message", ""))

    async def _command(self, tag: str, count: int) -> None:
        """By Kafka, twice under the same id, which must create one campaign."""
        identifier = str(uuid.UUID(int=self.rng.getrandbits(128)))
        command = {
            "specversion": "1.0", "id": identifier, "source": "/chaos", "type": "CreateCampaign.v1", "orgid": "cy",
            "data": self._campaign("cy", tag, count, maxConcurrency=4),
        }  # fmt: skip
        for _ in range(2):
            await self.send("campaign-commands", json.dumps(command).encode(), b"cy")
        self.acknowledged.add(identifier)

    async def send(self, topic: str, value: bytes, key: bytes) -> None:
        """Until the broker has acknowledged it."""
        name = self.stack.environment["TOPIC_PREFIX"] + topic
        await self._until_acknowledged(lambda producer: producer.send_and_wait(name, value, key))

    async def send_unreadable(self, topic: str, partition: int) -> None:
        """A record that Kafka's protocol rules out and its broker takes; until it has acknowledged it."""
        name = self.stack.environment["TOPIC_PREFIX"] + topic

        async def sent(producer: AIOKafkaProducer) -> None:
            await (await producer.send_batch(OddBatch([b"{}"], 0), name, partition=partition))

        await self._until_acknowledged(sent)

    async def _until_acknowledged(self, send: Callable[[AIOKafkaProducer], Awaitable[object]]) -> None:
        assert self._producer is not None
        until = time.monotonic() + _ASK_FOR_SECONDS
        while True:
            try:
                await send(self._producer)
                return
            except (KafkaError, OSError):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.3)

    async def _keep_watching(self) -> None:
        while True:
            for org in self.keys:
                with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                    await self._look(org)
            await asyncio.sleep(0.4)

    async def _look(self, org: str) -> None:
        headers = {"Authorization": f"Bearer {self.keys[org]}"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as http,
            http.get(self.stack.api_url + "/campaign?limit=50") as response,
        ):
            content = await response.text()
            if response.status != 200:
                return
        for other in {"amy", "bob", "cy"} - {org}:
            if f"{other}-" in content:
                self.faults.append(f"I7: {org} was shown something of {other}")
        for campaign in json.loads(content)["results"]:
            self._compare(campaign)

    def _compare(self, campaign: dict[str, Any]) -> None:
        total = sum(campaign[f"callsCounter{name}"] for name in ("Scheduled", "Queued", "InProgress", "Ended"))
        now = (_STATUS_RANK[campaign["status"]], campaign["updatedAt"], campaign["callsCounterEnded"])
        before = self._seen.get(campaign["id"], now)
        if any(new < old for new, old in zip(now, before, strict=True)):
            self.faults.append(f"I6: campaign {campaign['id']} was shown as {before} and then as {now}")
        if total != len(campaign.get("customers", ())) and campaign.get("customers"):
            self.faults.append(f"I4: the counters of {campaign['id']} add up to {total}")
        self._seen[campaign["id"]] = now

    def forget_what_was_shown(self) -> None:
        """After an old backup was restored, answers may for a while be older than those before."""
        self._seen.clear()
