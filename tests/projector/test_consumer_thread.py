"""The consumer's thread: a coordinator that is away holds up no commit without end, so that the process can always stop."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from services.projector import consumer_thread
from services.projector.consumer_thread import BatchConsumerThread


class _CommitsForEver:
    """As aiokafka's consumer once its client is closed."""

    def assignment(self) -> set[Any]:
        return set()

    async def commit(self, offsets: Any) -> None:
        await asyncio.Event().wait()


async def test_a_commit_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_thread, "_COMMIT_SECONDS", 0.01)
    thread = BatchConsumerThread.__new__(BatchConsumerThread)
    thread._consumer, thread.tp_last_committed_at = _CommitsForEver(), {}
    async with asyncio.timeout(5):
        assert await thread._commit({}) is False


def test_a_task_that_takes_no_cancellation_does_not_keep_the_thread_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_thread, "_LEFT_OVER_SECONDS", 0.01)

    async def serve() -> None:
        released = False

        async def stubborn() -> None:
            while not released:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(3_600)

        left_over = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await BatchConsumerThread.__new__(BatchConsumerThread)._gather_remaining_tasks()
        assert not left_over.done()
        released = True

    asyncio.run(serve())
