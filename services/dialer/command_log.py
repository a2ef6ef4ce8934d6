"""Owns how what the dialer says becomes durable on `call-commands`."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from events.envelope import Command
from services.runtime.clock import Clock
from services.runtime.letting_go import let_go, start_or_let_go
from services.runtime.report_records import encode_fitting

_PAUSE_SECONDS = 0.5

_log = logging.getLogger(__name__)


class CommandLog(Protocol):
    """Where commands go."""

    async def append(self, command: Command) -> None:
        """Return once the command is durable, however long that takes. It may then stand in the log twice.

        The second is nothing to the engine, save where a claim was given back between the two: then it may be granted once more.
        A report that is too large loses its analysis. What the log would never take is given up.
        Commands of one call stand in the log in the order in which their appends began, while no fault comes between.
        """


class KafkaCommandLog:
    """A `CommandLog`. A broker that is away is waited for; a producer that is broken is replaced."""

    def __init__(self, topic: str, new_producer: Callable[[], AIOKafkaProducer], clock: Clock) -> None:
        self._topic = topic
        self._new_producer = new_producer
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()
        self._is_away = False

    async def start(self) -> None:
        self._producer = self._new_producer()
        await self._producer.start()

    async def stop(self) -> None:
        """Wait a little for what is not acknowledged; what is not even then may be lost."""
        if self._producer is not None:
            await let_go(self._producer)

    async def append(self, command: Command) -> None:
        value, key = encode_fitting(command), command.org_id.encode()
        while True:
            producer = self._producer
            try:
                if producer is None:
                    await self._replace(None)
                    continue
                await producer.send_and_wait(self._topic, value, key=key)
                self._is_away = False
                return
            except MessageSizeTooLargeError:
                # again it would be too large, and every other command shares the producer that would be replaced
                _log.error(
                    "a command is too large for the log and was given up",
                    extra={"action": "append", "type": command.data.type_name, "call": command.call_id, "bytes": len(value)},
                )
                return
            except (KafkaError, OSError) as error:
                self._tell_away(error)
                await self._clock.sleep(_PAUSE_SECONDS)
                with suppress(KafkaError, OSError):
                    await self._replace(producer)

    async def _replace(self, broken: AIOKafkaProducer | None) -> None:
        async with self._replacing:
            if self._producer is not broken:
                return
            self._producer = None
            if broken is not None:
                await let_go(broken)
            producer = self._new_producer()
            try:
                await start_or_let_go(producer)
            except (KafkaError, OSError):
                # in the turn of whoever waits next: thousands of commands may, and a broker refuses in milliseconds
                await self._clock.sleep(_PAUSE_SECONDS)
                raise
            self._producer = producer

    def _tell_away(self, error: Exception) -> None:
        """Once until a command is durable again."""
        if not self._is_away:
            _log.warning("commands are not durable yet", extra={"action": "append", "error": repr(error)})
        self._is_away = True

    async def problem(self) -> str | None:
        """What is missing for readiness: what was said last did not become durable, and is tried again."""
        return "commands can not be appended" if self._is_away else None
