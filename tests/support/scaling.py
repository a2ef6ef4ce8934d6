"""Owns a load of commands straight onto Kafka, several engines and projectors that share it, and the reckoning afterwards."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer, TopicPartition

from events.codec import encode_command, read_event
from events.commands import CreateCampaign, StopCampaign
from events.envelope import Command, EventRecord
from events.ids import campaign_id_of
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS
from infra.stack.child import Child
from infra.stack.plan import children_of
from projections.reading import log_event
from projections.store.dump import dump
from projections.store.engine import open_database
from projections.store.memory_store import MemoryProjectionStore
from projections.store.sql_store import SqlProjectionStore
from services.runtime.kafka import make_consumer
from services.runtime.settings import Settings
from tests.support.eventually import eventually
from tests.support.ports import free_port

ORGS = 24
ACTIVE_LIMIT = 7
"""Of each org over its campaigns, of which each alone would have up to 5."""


def processes(settings: Settings, number: int) -> tuple[Child, Child]:
    """One more engine and one more projector on the settings' topics and read model; `number` names their logs."""
    own = settings.model_copy(update={"engine_port": free_port(), "projector_port": free_port()})
    children = children_of(own, ORG_CONCURRENCY_LIMIT=str(ACTIVE_LIMIT))
    for name in ("engine", "projector"):
        children[name].name = f"{name}-{number}"
        children[name].log_file = children[name].log_file.with_name(f"{name}-{number}.log")
    return children["engine"], children["projector"]


@dataclass(slots=True)
class CommandLoad:
    """Campaigns that are created and then stopped, over all orgs, so over all partitions."""

    settings: Settings
    producer: AIOKafkaProducer
    contacts: int = 20
    sent: int = 0

    async def send(self, campaigns: int) -> None:
        """As many more, each in two commands; returns once the commands are durable."""
        topic = self.settings.topic_name(CAMPAIGN_COMMANDS)
        commands = [command for number in range(self.sent, self.sent + campaigns) for command in self._commands(number)]
        await asyncio.gather(*[await self.producer.send(topic, encode_command(c), c.org_id.encode()) for c in commands])
        self.sent += campaigns

    def _commands(self, number: int) -> tuple[Command, Command]:
        org = f"org-{number % ORGS}"
        return self._create(number, org), Command(f"stop-{number}", org, StopCampaign(), "/load", _campaign(number, org))

    def _create(self, number: int, org: str) -> Command:
        customers = [{"number": f"+1415{position:07d}", "name": f"Customer {position}"} for position in range(self.contacts)]
        data = {"name": "Load", "assistantId": "a", "phoneNumberId": "p", "maxConcurrency": 5, "customers": customers}
        return Command(f"create-{number}", org, CreateCampaign.model_validate(data), "/load")

    def campaign_ids(self) -> set[str]:
        return {_campaign(number, f"org-{number % ORGS}") for number in range(self.sent)}


def _campaign(number: int, org: str) -> str:
    return campaign_id_of(org, f"create-{number}")


@dataclass(slots=True)
class CommittedLog:
    """The events of each partition as a consumer of committed records sees them, and where each partition ends."""

    events: dict[int, list[EventRecord]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    def count(self, type_name: str) -> Counter[str]:
        """How often each campaign has an event of the type."""
        return Counter(event["subject"] for events in self.events.values() for event in events if event["type"] == type_name)

    def most_active(self) -> int:
        """The most calls that an org had under way at one instant of the log."""
        active: dict[str, set[str]] = {}
        most = 0
        for events in self.events.values():
            for event in events:
                if event["type"] == "CallQueued.v1":
                    active.setdefault(event["orgid"], set()).add(event["callid"])
                    most = max(most, len(active[event["orgid"]]))
                elif event["type"] == "CallEnded.v1":
                    active.setdefault(event["orgid"], set()).discard(event["callid"])
        return most

    async def reference(self) -> bytes:
        """The dump of the rows that one fold of the log makes, in memory."""
        store = MemoryProjectionStore()
        for partition, events in self.events.items():
            await store.apply(partition, 0, self.ends[partition], [log_event(event) for event in events])
        return b"".join(store.dump())


async def committed_log(settings: Settings) -> CommittedLog:
    consumer = make_consumer(settings)
    await consumer.start()
    try:
        tps = [TopicPartition(settings.topic_name(CAMPAIGN_EVENTS), number) for number in range(settings.topic_partitions)]
        consumer.assign(tps)
        found = CommittedLog()
        for tp, end in (await consumer.end_offsets(tps)).items():
            events = found.events[tp.partition] = []
            found.ends[tp.partition] = end
            consumer.seek(tp, 0)
            while await consumer.position(tp) < end:
                records = (await consumer.getmany(tp, timeout_ms=500)).get(tp, ())
                events += [read_event(record.value) for record in records]
        return found
    finally:
        await consumer.stop()


async def until_ended(load: CommandLoad, seconds: float) -> CommittedLog:
    """The log, once every call of the load and its campaign has its end on it; an assertion where it does not in time."""
    left = dict.fromkeys(load.campaign_ids(), load.contacts + 1)
    consumer = make_consumer(load.settings)
    await consumer.start()
    try:
        tps = [TopicPartition(load.settings.topic_name(CAMPAIGN_EVENTS), number) for number in range(load.settings.topic_partitions)]
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, 0)
        deadline = asyncio.get_running_loop().time() + seconds
        while any(count > 0 for count in left.values()):
            late = sum(count > 0 for count in left.values())
            assert asyncio.get_running_loop().time() < deadline, f"{late} campaigns have not ended within {seconds} s"
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if b'"CallEnded.' in record.value or b'"CampaignEnded.' in record.value:
                        left[read_event(record.value)["subject"]] -= 1
    finally:
        await consumer.stop()
    return await committed_log(load.settings)


async def rows_as_of(settings: Settings, log: CommittedLog, seconds: float) -> bytes:
    """The dump of the live read model once it has folded all of the log; an assertion where it does not in time."""
    database = open_database(settings.read_model_url())
    store = SqlProjectionStore(database)
    try:
        await eventually(store.next_offsets, lambda seen: all(seen.get(p, 0) >= end for p, end in log.ends.items()), seconds)
        return b"".join([line async for line in dump(database)])
    finally:
        await store.close()
        await database.dispose()
