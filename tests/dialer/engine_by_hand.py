"""Owns the engine of the dialer's tests: it writes the facts that a test wants, keeps the read model, and reads what the dialer says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from events.codec import decode_command, encode_event
from events.commands import ClaimCall, DialOutcome, ReportCall
from events.envelope import Command, Event
from events.facts import (
    CallClaimed,
    CallOutcomeUnknown,
    CallPlaced,
    CallQueued,
    CallScheduled,
    CampaignCreated,
    CampaignStarted,
    ContactsCompleted,
    Fact,
)
from events.ids import call_id_of, campaign_id_of
from events.topics import CALL_COMMANDS, CAMPAIGN_EVENTS
from projections.reading import read_events
from projections.store.engine import open_database
from projections.store.port import Applied
from projections.store.sql_store import SqlProjectionStore
from services.runtime.kafka import make_consumer, make_producer, partition_of
from services.runtime.letting_go import let_go
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.support.eventually import eventually

ORG = "acme"


@dataclass(slots=True)
class EngineByHand:
    """One campaign of one org. Grants nothing by itself, unless `grants_all` runs."""

    settings: Settings
    producer: AIOKafkaProducer
    reader: AIOKafkaConsumer
    store: SqlProjectionStore
    campaign_id: str = campaign_id_of(ORG, "create")
    commands: list[Command] = field(default_factory=list)
    holds_the_read_model_back: bool = False
    granted: dict[str, str] = field(default_factory=dict)
    """By call, the claim that `grants_all` granted."""
    _unapplied: list[tuple[int, Any]] = field(default_factory=list)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, data: Fact, position: int | None = None, cause: str | None = None) -> None:
        # whole or not at all, even where the test lets go of who writes
        await asyncio.shield(asyncio.create_task(self._write(data, position, cause)))

    async def _write(self, data: Fact, position: int | None, cause: str | None) -> None:
        now = datetime.now(UTC)
        call_id = None if position is None else call_id_of(self.campaign_id, position)
        value = encode_event(Event(ORG, now, data, self.campaign_id, call_id, cause), f"e-{now.timestamp()}")
        partition = partition_of(ORG, self.settings.topic_partitions)
        async with self._writing:
            sent = await self.producer.send_and_wait(self.settings.topic_name(CAMPAIGN_EVENTS), value, ORG.encode(), partition)
            self._unapplied.append((sent.offset, *read_events([value])))
            if not self.holds_the_read_model_back:
                await self.let_the_read_model_catch_up()

    async def let_the_read_model_catch_up(self) -> None:
        batch, self._unapplied = self._unapplied, []
        start, end = batch[0][0], batch[-1][0] + 1
        partition = partition_of(ORG, self.settings.topic_partitions)
        assert isinstance(await self.store.apply(partition, start, end, [record for _, record in batch]), Applied)

    async def create(self, calls: int, phones: Sequence[str] = ("p",), **spec: Any) -> None:
        """Of several phone number ids each call has one in turn."""
        phone = {"phoneNumberId": phones[0]} if len(phones) == 1 else {"hasDialPlan": True}
        data = {"name": "c", "assistantId": "a", "maxConcurrency": 500, **phone, **spec}
        await self.write(CampaignCreated.model_validate(data), cause="create")
        for position in range(calls):
            contact = {"position": position, "customer": {"number": f"+1555{position:07d}"}}
            entry = {"phoneNumberId": phones[position % len(phones)], "entry": position % len(phones)} if len(phones) > 1 else {}
            await self.write(CallScheduled.model_validate(contact | entry), position, "create")
        await self.write(ContactsCompleted(contacts=calls), cause="create")
        await self.write(CampaignStarted())

    async def queue(self, *positions: int) -> None:
        for position in positions:
            await self.write(CallQueued(attempt=1), position)

    def claims(self) -> list[Command]:
        return [command for command in self.commands if isinstance(command.data, ClaimCall)]

    def claims_of(self, position: int) -> list[Command]:
        return [claim for claim in self.claims() if claim.call_id == call_id_of(self.campaign_id, position)]

    def outcomes(self) -> list[DialOutcome]:
        return [command.data for command in self.commands if isinstance(command.data, DialOutcome)]

    def reports(self) -> list[ReportCall]:
        return [command.data for command in self.commands if isinstance(command.data, ReportCall)]

    async def reports_made(self) -> list[ReportCall]:
        """For a wait: empty as long as there is none."""
        return self.reports()

    async def claims_sent(self, count: int) -> list[Command]:
        """Waits until there are so many."""
        return await eventually(self._now_claims, lambda claims: len(claims) >= count)

    async def outcomes_said(self, count: int) -> list[DialOutcome]:
        """Waits until there are so many."""
        return await eventually(self._now_outcomes, lambda outcomes: len(outcomes) >= count)

    async def _now_claims(self) -> list[Command]:
        return self.claims()

    async def _now_outcomes(self) -> list[DialOutcome]:
        return self.outcomes()

    async def grant(self, claim: Command) -> None:
        data = cast(ClaimCall, claim.data)
        later = datetime.now(UTC) + timedelta(hours=1)
        fact = CallClaimed(
            attempt=data.attempt,
            claimant=data.claimant,
            valid_until=data.valid_until,
            outcome_due_at=later,
            ends_by=later,
            provider=data.provider,
        )
        await self.write(fact, self._position_of(claim), claim.id)

    async def unknown(self, position: int, provider: str = "simulator") -> None:
        await self.write(CallOutcomeUnknown(attempt=1, ends_by=datetime.now(UTC) + timedelta(hours=1), provider=provider), position)

    def _position_of(self, command: Command) -> int:
        return next(n for n in range(10_000) if call_id_of(self.campaign_id, n) == command.call_id)

    async def read_commands(self) -> None:
        """Until cancelled."""
        while True:
            for records in (await self.reader.getmany(timeout_ms=100)).values():
                self.commands += [decode_command(record.value) for record in records]

    async def grants_all(self) -> None:
        """Grant the first claim of each call, queue again what surely was not placed; until cancelled."""
        seen = 0
        while True:
            for command in self.commands[seen:]:
                seen += 1
                await self._decide(command)
            await asyncio.sleep(0.005)

    async def _decide(self, command: Command) -> None:
        call_id = command.call_id or ""
        match command.data:
            case ClaimCall() if call_id not in self.granted:
                self.granted[call_id] = command.id
                await self.grant(command)
            case DialOutcome(outcome="not-placed", claim_id=claim_id) if self.granted.get(call_id) == claim_id:
                del self.granted[call_id]
                await self.queue(self._position_of(command))
            case DialOutcome(outcome="placed", claim_id=claim_id) if self.granted.get(call_id) == claim_id:
                await self.write(CallPlaced(attempt=1), self._position_of(command))

    def placed(self) -> Counter[str]:
        """How often each call was said to be placed."""
        return Counter(c.call_id or "" for c in self.commands if isinstance(c.data, DialOutcome) and c.data.outcome == "placed")


@asynccontextmanager
async def engine_by_hand(settings: Settings) -> AsyncIterator[EngineByHand]:
    """With its topics, its read model, and all commands read from the first on."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await ensure_topics(settings)
    async with AsyncExitStack() as stack:
        database = open_database(settings.read_model_url())
        stack.push_async_callback(database.dispose)
        store = SqlProjectionStore(database)
        stack.push_async_callback(store.close)
        await store.ensure_schema()
        producer = make_producer(settings)
        stack.push_async_callback(let_go, producer)
        await producer.start()
        reader = make_consumer(settings)
        stack.push_async_callback(let_go, reader)
        await reader.start()
        tps = [TopicPartition(settings.topic_name(CALL_COMMANDS), partition) for partition in range(settings.topic_partitions)]
        reader.assign(tps)
        for tp in tps:
            reader.seek(tp, 0)
        engine = EngineByHand(settings, producer, reader, store)
        reading = asyncio.create_task(engine.read_commands())
        stack.callback(reading.cancel)
        yield engine
