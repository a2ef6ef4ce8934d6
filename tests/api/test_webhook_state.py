"""The API's reading of `webhook-state` on real Kafka: from the beginning, up to its end at the time of asking, tombstones too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from events.topics import WEBHOOK_STATE
from events.webhooks import WebhookReplay
from projections.store.engine import open_database
from services.api.errors import UnavailableError
from services.api.webhook_index import WebhookIndex
from services.api.webhook_state import KafkaWebhookState
from services.runtime.clock import SystemClock
from services.runtime.kafka import make_consumer, make_producer
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.api.webhooks import dead_webhook
from tests.support.eventually import eventually


async def tell(settings: Settings, producer: AIOKafkaProducer, *states: tuple[str, bytes | None], partition: int = 0) -> None:
    """In one transaction, as the notifier does."""
    async with producer.transaction():
        for key, value in states:
            await producer.send(settings.topic_name(WEBHOOK_STATE), value, key.encode(), partition)


def dead(id: str) -> tuple[str, bytes]:
    return id, orjson.dumps(dead_webhook(id, "acme", "c-1").to_wire())


async def ids(state: KafkaWebhookState) -> list[str]:
    return [orjson.loads(webhook)["id"] for webhook in (await state.dead("acme", None, 1, 100, False)).items]


@asynccontextmanager
async def following(settings: Settings, directory: Path) -> AsyncIterator[KafkaWebhookState]:
    database = open_database(f"sqlite:///{directory / 'index.sqlite'}")
    topic = settings.topic_name(WEBHOOK_STATE)
    state = KafkaWebhookState(lambda: make_consumer(settings), topic, 2, lambda _: 0, WebhookIndex(database), SystemClock())
    task = asyncio.create_task(state.follow())
    try:
        yield state
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.dispose()


async def test_a_list_is_as_of_the_topics_end_at_the_time_of_asking_and_made_anew_by_who_follows_again(
    settings: Settings, tmp_path: Path
) -> None:
    await ensure_topics(settings)
    topic = settings.topic_name(WEBHOOK_STATE)
    async with make_producer(settings, transactional_id="webhook-state-0") as producer, make_producer(settings) as plain:
        await tell(settings, producer, dead("a"), dead("b"), dead("c"))
        async with following(settings, tmp_path) as state:
            # a transaction becomes visible a moment after its commit was answered
            await eventually(lambda: ids(state), lambda seen: seen == ["a", "b", "c"])
            for gone in ("b", "a"):
                await plain.send_and_wait(topic, None, gone.encode(), 0)
                assert gone not in await ids(state)
        for key, value in (("c", None), dead("d"), ("x", b"not json"), ("y", b"{}")):
            await plain.send_and_wait(topic, value, key.encode(), 0)
        async with following(settings, tmp_path) as state:
            assert await ids(state) == ["d"]


async def test_the_outcome_of_a_command_is_known_once_it_is_told_and_to_its_org_alone(settings: Settings, tmp_path: Path) -> None:
    await ensure_topics(settings)
    outcome = WebhookReplay(id="c-1", org_id="acme", replayed=2)
    async with following(settings, tmp_path) as state, make_producer(settings, transactional_id="webhook-state-0") as producer:
        waiting = [asyncio.create_task(state.outcome(org, "c-1")) for org in ("acme", "other")]
        await tell(settings, producer, dead("a"))
        await tell(settings, producer, ("a", None), ("c-1", orjson.dumps(outcome.to_wire())))
        assert await asyncio.wait_for(waiting[0], 20) == outcome
        assert await ids(state) == []
        assert not waiting[1].done()
        waiting[1].cancel()


async def test_where_no_broker_answers_the_list_is_unavailable(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.webhook_state._CURRENT_SECONDS", 0.2)
    async with following(settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"}), tmp_path) as state:
        with pytest.raises(UnavailableError):
            await ids(state)
