"""Owns how commands get into the log: in order, waiting for all replicas, and saying whether a failure may have written them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from events.topics import Topic
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point
from services.runtime.letting_go import let_go, start_or_let_go

_STUCK_SECONDS = 5.0
"""A record that waits for its acknowledgement longer than this shows that the log takes nothing now."""
_MOST_WAITING = 10_000
"""Records that wait for theirs in memory; callbacks come as fast as providers like."""
_STOP_SECONDS = 3.0
_WATCH_SECONDS = 1.0
_ANSWER_SECONDS = 3.0


class LogUnavailableError(Exception):
    """The log took nothing: no record of the request can ever appear. Retriable."""


class MaybeWrittenError(Exception):
    """Some record of the request may be in the log, or may still get there. Retriable under the same command ids."""


class CommandLog(Protocol):
    """Appends commands durably."""

    async def append(self, topic: Topic, org_id: str, records: Iterable[bytes]) -> None:
        """Return once all are in the log, in this order; raises `LogUnavailableError` or `MaybeWrittenError`.

        Without an answer it waits for ever: the caller sets the time, and a cancelled append may be written.
        """


class KafkaCommandLog:
    """A `CommandLog` by one idempotent producer, which is made anew when it has failed for good."""

    def __init__(
        self,
        new_producer: Callable[[], AIOKafkaProducer],
        name_of: Callable[[Topic], str],
        partition_of: Callable[[str], int],
        clock: Clock,
    ) -> None:
        self._new_producer = new_producer
        self._name_of = name_of
        self._partition_of = partition_of
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()
        self._waiting: dict[object, float] = {}
        self._answers = True

    async def start(self) -> None:
        """Raises the client's own errors where no broker answers."""
        async with self._turn:
            if self._producer is None:
                producer = self._new_producer()
                await start_or_let_go(producer)
                self._producer = producer

    async def stop(self) -> None:
        """Wait a moment for what was appended, then close."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await let_go(producer, _STOP_SECONDS)

    async def watch(self) -> None:
        """Until cancelled, ask every second whether a broker answers.

        A record given to a client whose cluster is away may get there later, so it had better not be given.
        """
        while True:
            producer = self._producer
            if producer is not None:
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        self._answers = bool(await producer.client.force_metadata_update())
                except (TimeoutError, KafkaError, OSError):
                    self._answers = False
            await self._clock.sleep(_WATCH_SECONDS)

    def problem(self) -> str | None:
        """What keeps the log from taking commands: nobody answers, or records under way are not acknowledged."""
        if not self._answers:
            return "no broker answers"
        oldest = min(self._waiting.values(), default=None)
        if oldest is not None and self._clock.monotonic() - oldest > _STUCK_SECONDS:
            return "the log does not acknowledge commands"
        if len(self._waiting) >= _MOST_WAITING:
            return "too many commands wait to be acknowledged"
        return None

    async def append(self, topic: Topic, org_id: str, records: Iterable[bytes]) -> None:
        problem = self.problem()
        if problem is not None:
            raise LogUnavailableError(problem)
        name, key, partition = self._name_of(topic), org_id.encode(), self._partition_of(org_id)
        sent: list[asyncio.Future[object]] = []
        fail_point("api.before-append")
        for record in records:
            try:
                sent.append(await self._send(name, key, partition, record))
            except (KafkaError, OSError) as error:
                await self._settle(sent)
                if sent:
                    raise MaybeWrittenError("only a part of the commands may be in the log") from error
                raise LogUnavailableError("the log can not take commands now") from error
        failures = [result for result in await self._settle(sent) if isinstance(result, BaseException)]
        if failures:
            raise MaybeWrittenError("a command was not acknowledged") from failures[0]
        fail_point("api.after-append")

    async def _send(self, name: str, key: bytes, partition: int, record: bytes) -> "asyncio.Future[object]":
        await self.start()
        if self._producer is None:
            raise KafkaError("the producer is closed")
        producer = self._producer
        try:
            future: asyncio.Future[object] = await producer.send(name, record, key, partition)
        except KafkaTimeoutError:
            raise
        except (KafkaError, OSError):
            await self._let_go_of(producer)
            raise
        self._waiting[future] = self._clock.monotonic()
        future.add_done_callback(lambda done: self._waiting.pop(done, None))
        return future

    async def _settle(self, sent: Sequence["asyncio.Future[object]"]) -> list[object]:
        return list(await asyncio.gather(*map(asyncio.shield, sent), return_exceptions=True))

    async def _let_go_of(self, failed: AIOKafkaProducer) -> None:
        """The next append makes a new producer; a failed one answers all that it still holds with its failure."""
        was_ours = self._producer is failed
        if was_ours:
            self._producer = None
            await let_go(failed, _STOP_SECONDS)
