"""Owns how a user commands over Kafka: records that are sent until the broker has acknowledged them, good ones and unreadable ones."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.promises import Promises
from tests.support.odd_headers import OddBatch

_SEND_FOR_SECONDS = 60.0


@dataclass(slots=True)
class KafkaUser:
    """Publishes for `org`, past all proxies."""

    servers: str
    prefix: str
    org: str
    rng: random.Random
    promises: Promises
    _producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        # takes commands larger than any may be, whose compressed batch the broker takes all the same
        own = {"compression_type": "lz4", "max_request_size": 4 * 1024 * 1024}
        self._producer = AIOKafkaProducer(bootstrap_servers=self.servers, enable_idempotence=True, acks="all", **own)
        await self._producer.start()

    async def stop(self) -> None:
        if self._producer is not None:
            with suppress(TimeoutError, KafkaError, OSError, asyncio.CancelledError):
                async with asyncio.timeout(3):
                    await self._producer.stop()

    async def command(self, kind: str, data: dict[str, Any], campaign_id: str | None = None) -> str:
        """Twice under the same id, which must be carried out once; returns the id."""
        identifier = str(uuid.UUID(int=self.rng.getrandbits(128)))
        envelope = {"specversion": "1.0", "id": identifier, "source": "/chaos", "type": f"{kind}.v1", "orgid": self.org, "data": data}
        value = json.dumps(envelope if campaign_id is None else envelope | {"subject": campaign_id}).encode()
        for _ in range(2):
            await self.send("campaign-commands", value, self.org.encode())
        self.promises.acknowledged.add(identifier)
        return identifier

    async def send(self, topic: str, value: bytes, key: bytes) -> None:
        """Until the broker has acknowledged it."""
        name = self.prefix + topic
        await self._until_acknowledged(lambda producer: producer.send_and_wait(name, value, key))

    async def send_unreadable(self, topic: str, partition: int) -> None:
        """A record that Kafka's protocol rules out and its broker takes; until it has acknowledged it."""
        name = self.prefix + topic

        async def sent(producer: AIOKafkaProducer) -> None:
            await (await producer.send_batch(OddBatch([b"{}"], 0), name, partition=partition))

        await self._until_acknowledged(sent)

    async def _until_acknowledged(self, send: Callable[[AIOKafkaProducer], Awaitable[object]]) -> None:
        assert self._producer is not None
        until = time.monotonic() + _SEND_FOR_SECONDS
        while True:
            try:
                await send(self._producer)
                return
            except (KafkaError, OSError):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.3)
