"""Owns how Kafka clients are let go of, whether Kafka answers or not: when a process stops, or when they do not start."""

import asyncio
import logging
from typing import Protocol

_STOP_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Stoppable(Protocol):
    """A client of Kafka."""

    async def stop(self) -> None: ...


class Startable(Stoppable, Protocol):
    """A client of Kafka that does nothing yet."""

    async def start(self) -> None: ...


async def let_go(client: Stoppable, within_seconds: float = _STOP_SECONDS) -> None:
    """Stop the client, for a second at most unless told otherwise, and raise nothing: what it had to keep was kept before.

    aiokafka's `stop` waits without end for what it can not send, and with the broker away it ends as if it were cancelled.
    """
    stopping = asyncio.create_task(client.stop())
    done, _ = await asyncio.wait([stopping], timeout=within_seconds)
    if not done:
        stopping.cancel()
    if not done or stopping.cancelled() or stopping.exception() is not None:
        _log.warning("a Kafka client did not stop cleanly", extra={"action": "stop"})


async def start_or_let_go(client: Startable) -> None:
    """Start the client. Raises what its `start` raises, also where it is cancelled; then the client is let go of."""
    try:
        await client.start()
    except BaseException:
        await let_go(client)
        raise
