"""The consumer's thread: a coordinator that is away holds up no commit without end, and a group that refuses is heard."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError

from services.projector import consumer_thread
from services.projector.consumer_thread import BatchConsumerThread
from services.runtime.kafka import make_consumer
from services.runtime.settings import Settings


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


async def test_what_keeps_it_out_of_the_group_is_raised_though_nobody_polls(settings: Settings) -> None:
    thread = BatchConsumerThread.__new__(BatchConsumerThread)
    thread._consumer = make_consumer(settings, group_id=settings.group_id("projector"))
    await thread._consumer.start()
    try:
        await thread.check_group()
        thread._consumer._coordinator._pending_exception = GroupAuthorizationFailedError("projector")
        with pytest.raises(GroupAuthorizationFailedError):
            await thread.check_group()
    finally:
        await thread._consumer.stop()


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
