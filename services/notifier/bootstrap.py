"""Owns how the notifier is wired, and the order in which it starts and stops."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncEngine

from events.topics import CAMPAIGN_EVENTS, WEBHOOK_COMMANDS, WEBHOOK_STATE
from projections.store.engine import DATABASE_FAULTS
from services.notifier.delivering import Deliverer
from services.notifier.expiring import Expiry
from services.notifier.intake import Intake
from services.notifier.log_reading import LogReader
from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import Outbox
from services.notifier.own_store import metadata
from services.notifier.replays import CommandReader, Replays
from services.notifier.sending import HttpWebhooks
from services.notifier.settings import NotifierSettings
from services.notifier.state_changes import StateChanges
from services.notifier.state_telling import StateTeller
from services.runtime.clock import Clock
from services.runtime.health import Health, serve_health
from services.runtime.kafka import make_consumer, make_producer, member_id
from services.runtime.letting_go import let_go
from services.runtime.own_store import open_own_store
from services.runtime.process import until_stopped_or_failed
from services.runtime.publishing import PartitionPublisher
from services.runtime.url_guard import AllowedHosts, guarded_session
from services.runtime.webhook_signing import org_secret

GROUP = "notifier"
COMMANDS_GROUP = "notifier-commands"
_LOOKUPS_AT_LEAST = 64
_DAY_SECONDS = 86_400


def own_store(settings: NotifierSettings) -> AbstractAsyncContextManager[AsyncEngine]:
    """The database of the outbox and of what was learned from the log."""
    return open_own_store(settings, "notifier", metadata)


async def run_notifier(settings: NotifierSettings, clock: Clock, stop: asyncio.Event) -> None:
    """Notify until `stop`, then let go cleanly; raises what ended a part of it."""
    # the system's resolver blocks a thread for each lookup, and one org's slow name servers must not hold up the others
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max(_LOOKUPS_AT_LEAST, settings.notifier_max_in_flight)))
    health, key = Health(), settings.webhook_key()
    metrics = NotifierMetrics(health.registry)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(own_store(settings))
        http = await stack.enter_async_context(guarded_session(AllowedHosts.parse(settings.webhook_allowed_private_hosts)))
        outbox = Outbox(database)
        stack.push_async_callback((await serve_health(health, settings.host, settings.notifier_port)).cleanup)
        consumer, command_consumer = _member_of(settings, GROUP), _member_of(settings, COMMANDS_GROUP)
        for client in (consumer, command_consumer):
            stack.push_async_callback(let_go, client)
        deliverer = Deliverer(
            outbox=outbox,
            webhooks=HttpWebhooks(http, clock, lambda org_id: org_secret(key, org_id)),
            clock=clock,
            bounds=settings.bounds(),
            partitions=lambda: reader.partitions(),
            metrics=metrics,
        )
        stack.push_async_callback(deliverer.close, settings.notifier_stop_seconds)
        teller = _teller(settings, database, clock, lambda: reader.partitions())
        reader = LogReader(consumer, Intake(database), clock, settings.webhook_retry_seconds, deliverer.wake, teller.doubt, metrics)

        def on_replayed(partition: int) -> None:
            deliverer.wake()
            teller.wake(partition)

        commands = CommandReader(command_consumer, Replays(database), clock, on_replayed, metrics)
        expiry = Expiry(outbox, lambda: reader.partitions(), clock, settings.webhook_dead_days * _DAY_SECONDS)
        _add_checks(health, reader, outbox)
        consumer.subscribe([settings.topic_name(CAMPAIGN_EVENTS)], listener=reader)
        command_consumer.subscribe([settings.topic_name(WEBHOOK_COMMANDS)])
        await asyncio.gather(consumer.start(), command_consumer.start())
        parts = (reader.run(), deliverer.run(), commands.run(), expiry.run(), teller.watch(), teller.publisher.run())
        await until_stopped_or_failed(stop, *parts)


def _member_of(settings: NotifierSettings, group: str) -> AIOKafkaConsumer:
    group_id = settings.group_id(group)
    return make_consumer(settings, group_id=group_id, group_instance_id=member_id(settings, group_id, settings.notifier_port))


def _teller(settings: NotifierSettings, database: AsyncEngine, clock: Clock, partitions: Callable[[], set[int]]) -> StateTeller:
    changes, topic = StateChanges(database), settings.topic_name(WEBHOOK_STATE)

    def new_producer(partition: int) -> AIOKafkaProducer:
        return make_producer(settings, transactional_id=f"{WEBHOOK_STATE.name}-{partition}")

    publisher = PartitionPublisher(changes, new_producer, topic, clock)
    return StateTeller(changes, publisher, lambda: make_consumer(settings), topic, partitions, clock)


def _add_checks(health: Health, reader: LogReader, outbox: Outbox) -> None:
    async def has_a_place() -> str | None:
        return None if reader.is_placed else "the group has given no assignment yet"

    async def own_store_answers() -> str | None:
        try:
            await outbox.lanes(0)
        except DATABASE_FAULTS:
            return "does not answer"
        return None

    health.checks.update({"group": has_a_place, "own store": own_store_answers})
