"""Owns how the dialer is wired, and the order in which it starts and stops."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from uuid import uuid4

import aiohttp

from events.topics import CALL_COMMANDS, CAMPAIGN_EVENTS
from projections.store.engine import open_database
from projections.store.sql_store import SqlProjectionStore
from services.dialer.claim_following import ClaimFollower
from services.dialer.command_log import KafkaCommandLog
from services.dialer.dial_tasks import ReadModelDialTasks
from services.dialer.dispatcher import Dispatcher
from services.dialer.http_predial import HttpPredial
from services.dialer.line_building import build_lines, callback_urls
from services.dialer.metrics import DialerMetrics
from services.dialer.predial_turns import PredialTurns
from services.dialer.queue_reading import QueueReader
from services.dialer.reconciliation import AT_ONCE, Reconciliation
from services.dialer.settings import DialerSettings
from services.runtime.clock import Clock
from services.runtime.health import Health, serve_health
from services.runtime.kafka import make_consumer, make_producer, member_id
from services.runtime.letting_go import let_go
from services.runtime.process import until_stopped_or_failed
from services.runtime.url_guard import AllowedHosts, guarded_session
from services.runtime.webhook_signing import org_secret

GROUP = "dialer"
_PREDIAL_QUESTIONS = 1_000


async def run_dialer(settings: DialerSettings, clock: Clock, stop: asyncio.Event) -> None:
    """Dial until `stop`, then let go cleanly; raises what ended a part of it."""
    health = Health()
    metrics = DialerMetrics(health.registry)
    async with AsyncExitStack() as stack:
        database = open_database(settings.read_model_url())
        stack.push_async_callback(database.dispose)
        store = SqlProjectionStore(database)
        stack.push_async_callback(store.close)
        tasks = ReadModelDialTasks(store, clock)

        def new_session() -> aiohttp.ClientSession:
            session = _session(settings.dialer_max_in_flight + AT_ONCE)
            stack.push_async_callback(session.close)
            return session

        lines = build_lines(settings, clock, new_session)
        for line in lines:
            metrics.watch(line)
        commands = KafkaCommandLog(settings.topic_name(CALL_COMMANDS), lambda: make_producer(settings), clock)
        stack.push_async_callback(commands.stop)
        await commands.start()
        webhook_key = settings.webhook_key()
        customers = AllowedHosts.parse(settings.webhook_allowed_private_hosts)
        dispatcher = Dispatcher(
            claimant=secrets.token_urlsafe(16),
            claim_valid_seconds=settings.claim_valid_seconds,
            clock=clock,
            commands=commands,
            tasks=tasks,
            predial=HttpPredial(
                await stack.enter_async_context(guarded_session(customers, _PREDIAL_QUESTIONS)),
                clock,
                lambda org_id: org_secret(webhook_key, org_id),
                PredialTurns(_PREDIAL_QUESTIONS),
            ),
            lines=lines,
            callback_url_of=callback_urls(settings),
            new_id=_new_id,
            metrics=metrics,
        )
        stack.push_async_callback(dispatcher.close, settings.dialer_stop_seconds)
        reconciliation = Reconciliation(clock, commands, lines, _new_id, metrics)
        stack.push_async_callback(reconciliation.close)
        topic = settings.topic_name(CAMPAIGN_EVENTS)
        follower = ClaimFollower(make_consumer(settings), topic, settings.topic_partitions, dispatcher.on_claimed)
        stack.push_async_callback(follower.stop)
        await follower.start()
        # the port is taken before the place in the group that is named by it
        stack.push_async_callback((await serve_health(health, settings.host, settings.dialer_port)).cleanup)
        group_id = settings.group_id(GROUP)
        consumer = make_consumer(settings, group_id=group_id, group_instance_id=member_id(settings, group_id, settings.dialer_port))
        stack.push_async_callback(let_go, consumer)
        reader = QueueReader(consumer, dispatcher, reconciliation.look_up, clock, settings.dialer_max_taken)
        stack.push_async_callback(reader.close)
        consumer.subscribe([topic], listener=reader)
        _add_checks(health, reader, tasks, commands)
        await consumer.start()
        await until_stopped_or_failed(stop, tasks.run(), dispatcher.run(), follower.run(), reader.run())


def _session(connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=connections)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def _new_id() -> str:
    return str(uuid4())


def _add_checks(health: Health, reader: QueueReader, tasks: ReadModelDialTasks, commands: KafkaCommandLog) -> None:
    async def has_a_place() -> str | None:
        return None if reader.assigned else "the group has given no assignment yet"

    async def takes_up() -> str | None:
        return f"{reader.failed} calls could not be taken up" if reader.failed else None

    async def read_model() -> str | None:
        return tasks.problem

    health.checks.update({"group": has_a_place, "calls": takes_up, "commands": commands.problem, "read-model": read_model})
