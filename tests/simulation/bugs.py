"""Owns the planted bugs: realistic faults, each a switch that only a run of the simulation can be given, and that it must find."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from aiokafka import TopicPartition

from events import commands, facts
from events.envelope import Command, Event, EventRecord
from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import CallRow
from projections.dial_task.task import DialTask
from projections.engine_snapshot.snapshot import EngineSnapshot
from projections.handled_commands.fold import HandledRow
from projections.reading import LogEvent
from projections.store.port import Applied, Fenced
from services.dialer.claims import Claim
from services.dialer.dispatcher import Dispatcher
from services.dialer.provider import Answer, NotPlaced, PlaceCall, Unknown
from services.engine.decider import decide
from services.engine.decider.call_commands import claim_call, report_call
from services.engine.decider.policy import Policy
from services.engine.decider.state import CallState, CampaignState, PartitionState
from services.engine.kafka_log import KafkaPartitionLog
from services.engine.ports import Batch, Snapshots
from services.notifier.delivering import Deliverer
from services.notifier.messages import WebhookMessage
from services.notifier.outbox import Delivery
from services.notifier.sending import Answer as WebhookAnswer
from services.projector.batch import Batch as RecordBatch
from services.projector.progress import FoldProgress
from tests.simulation.exchange import SimulatedProvider
from tests.simulation.faults import KINDS
from tests.simulation.loop import Life
from tests.simulation.store_checks import WatchedStore
from tests.simulation.webhooks import SimulatedWebhooks, WatchedNotifierStore


class CommitsOffsetsFirst(KafkaPartitionLog):
    """The commands' offsets before the events that they became."""

    async def commit(self, batch: Batch) -> None:
        await self._consumer.commit({self._tps[topic]: offset for topic, offset in batch.positions.items()})
        await super().commit(batch)


class TakesOverWithoutTheLog(KafkaPartitionLog):
    """The snapshot, without what came after it."""

    async def replay(self, from_offset: int) -> AsyncIterator[Sequence[bytes | None]]:
        yield []


@dataclass
class ForgetsCommands:
    """A snapshot that does not tell which commands were handled."""

    snapshots: Snapshots

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        return replace(await self.snapshots.engine_snapshot(partition), handled=[])


def id_of_each_life(partition: int, life: Life) -> str:
    """A transactional id that no other process has fences nobody."""
    return f"engine-{partition}-of-{life.name}"


def without_org_limit(policy: Policy) -> Policy:
    return replace(policy, org_limit=1_000_000)


def dialed_again(campaign: CampaignState, call: CallState, now: datetime, command: Command | None = None) -> Event:
    """A claim without an outcome is offered again instead of being unknown."""
    return Event(campaign.org_id, now, facts.CallQueued(attempt=call.attempt), campaign.id, call.id)


def claimed_though_paused(state: PartitionState, command: Command, data: commands.ClaimCall, now: datetime, policy: Policy) -> list[Event]:
    found = state.call_of(command.org_id, command.campaign_id, command.call_id)
    if found is None:
        return []
    was, found[0].paused = found[0].paused, False
    try:
        return claim_call(state, command, data, now, policy)
    finally:
        found[0].paused = was


def reported_as_it_comes(state: PartitionState, command: Command, data: commands.ReportCall, now: datetime, policy: Policy) -> list[Event]:
    """Late and doubled reports move the call too."""
    found = state.call_of(command.org_id, command.campaign_id, command.call_id)
    if found is None or data.status == "ended":
        return report_call(state, command, data, now, policy)
    fact = facts.CallRinging(attempt=data.attempt) if data.status == "ringing" else facts.CallStarted(attempt=data.attempt, started_at=now)
    return [Event(command.org_id, now, fact, command.campaign_id, command.call_id, command.id)]


class PostsBeforeTheGrant(Dispatcher):
    """A claim is acted upon as soon as it is durable."""

    async def _claim(self, task: DialTask, attempt: int, provider: str) -> None:
        await super()._claim(task, attempt, provider)
        for claim in self.claims.take_all():
            self._start(self._dial(claim))


class TakesClaimsOver(Dispatcher):
    """Every granted claim is acted upon, whoever made it."""

    def on_claimed(self, record: EventRecord) -> None:
        self._start(self._take_over(record))

    async def _take_over(self, record: EventRecord) -> None:
        task = await self.tasks.get(0, -1, record["callid"])
        expires = self.clock.monotonic() + self.claim_valid_seconds
        await self._dial(Claim(record["causationid"], task, record["data"]["attempt"], record["data"]["provider"], expires))


class TakesSilenceForNo(SimulatedProvider):
    """A request without an answer was not placed, it says."""

    async def place(self, call: PlaceCall) -> Answer:
        answer = await super().place(call)
        return NotPlaced("no answer came") if isinstance(answer, Unknown) else answer


class WritesFromAnywhere(WatchedStore):
    """A store that does not ask whether the batch begins where it stands."""

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
        stands_at = (await self.next_offsets()).get(partition, 0)
        return await super().apply(partition, stands_at, next_offset, records)


class GoesOnFromTheGroup(FoldProgress):
    """The group's offsets, committed as soon as a batch is read, say where to go on."""

    async def starting_offsets(self, assignment: set[TopicPartition], reading: Any) -> dict[TopicPartition, int]:
        await super().starting_offsets(assignment, reading)
        return {tp: await reading.consumer.committed(tp) for tp in assignment}

    async def fold(self, batch: RecordBatch, reading: Any) -> bool:
        await reading.consumer.commit({batch.partition: batch.next_offset})
        return await super().fold(batch, reading)


class CountsEvents(WatchedStore):
    """A counter goes up by one for each event that says so, the repeated ones too."""

    def _folded(self, partition: int, records: Sequence[LogEvent]) -> tuple[Progress, dict[tuple[str, str], HandledRow]]:
        again = [r.subject for r in records if r.type == "CallQueued.v1" and _is_queued(self.calls.get(r.callid))]
        progress, handled = super()._folded(partition, records)
        for campaign_id in again:
            progress.campaigns[campaign_id].calls_queued += 1
        return progress, handled


def _is_queued(call: CallRow | None) -> bool:
    return call is not None and call.status == "queued"


class SavesTheOffsetFirst(WatchedStore):
    """The offset is stored in a transaction of its own, before the rows, which a fault may then keep out."""

    _writes = 0

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
        self._writes += 1
        return await super().apply(partition, start_offset, next_offset, [] if self._writes % 20 == 0 else records)


class DeletesBeforeDelivery(Deliverer):
    """A message leaves the outbox as soon as it is under way."""

    async def _deliver(self, receiver: str, delivery: Delivery) -> None:
        await self.outbox.settle([delivery.id], [])
        await super()._deliver(receiver, delivery)


class DrawsIdsAnew(SimulatedWebhooks):
    """Each attempt has an id of its own."""

    async def send(self, delivery: Delivery) -> WebhookAnswer:
        return await super().send(replace(delivery, id=f"{delivery.id}-{delivery.failures}"))


class MixesServersUp(WatchedNotifierStore):
    """Everything goes to whom the first campaign named."""

    def _server_of(self, message: WebhookMessage) -> dict[str, Any]:
        return next(iter(self._campaigns.values())).server


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """`parts` stand in for the real ones, `patches` for functions of the product; `breaks` are the promises that it may break."""

    name: str
    breaks: tuple[str, ...]
    parts: Mapping[str, Any] = field(default_factory=dict)
    patches: Callable[[], Sequence[Any]] = tuple
    faults: Sequence[str] = KINDS
    """What brings it to light."""

    @contextmanager
    def planted(self) -> Iterator[Mapping[str, Any]]:
        with ExitStack() as stack:
            for each in self.patches():
                stack.enter_context(each)
            yield self.parts


def _patched(*names: str, by: Any) -> Callable[[], Sequence[Any]]:
    return lambda: [patch(f"services.engine.decider.{name}", by) for name in names]


def _decides(command: type[Any], decision: Any) -> Callable[[], Sequence[Any]]:
    return lambda: [patch.dict(decide._DECISIONS, {command: decision})]


_RESTARTS = ("crash", "rebalance")
_ZOMBIES = ("freeze", "cut", "rebalance")

BUGS = (
    PlantedBug("offsets are committed before the events", ("I1",), {"partition_log": CommitsOffsetsFirst}),
    PlantedBug(
        "a partition is taken over without the log",
        ("I1", "I2", "I3", "I6", "I8"),
        {"partition_log": TakesOverWithoutTheLog},
        faults=_RESTARTS,
    ),
    PlantedBug("handled commands are forgotten", ("I1",), {"snapshots": ForgetsCommands}, faults=_RESTARTS),
    PlantedBug("the engine does not fence", ("I1", "I2", "I3", "I5", "I6", "I8"), {"transactional_id": id_of_each_life}, faults=_ZOMBIES),
    PlantedBug("a limit per campaign only", ("I3",), {"policy": without_org_limit}),
    PlantedBug(
        "an unknown outcome is dialed again",
        ("I2", "I8"),
        patches=_patched("advance.outcome_unknown", "call_commands.outcome_unknown", by=dialed_again),
    ),
    PlantedBug("a claim is granted after a pause", ("I3",), patches=_decides(commands.ClaimCall, claimed_though_paused)),
    PlantedBug("late reports move a call back", ("I6",), patches=_decides(commands.ReportCall, reported_as_it_comes)),
    PlantedBug("a call is posted before its claim is granted", ("I2",), {"dispatcher": PostsBeforeTheGrant}),
    PlantedBug("claims are taken over", ("I2",), {"dispatcher": TakesClaimsOver}),
    PlantedBug("no answer counts as not placed", ("I2",), {"provider": TakesSilenceForNo}, faults=("lossy",)),
    PlantedBug("the projector reads uncommitted", ("I4", "I5", "I6", "I8"), {"projector_reads_committed": False}),
    PlantedBug(
        "offsets come from the group",
        ("I4", "I5", "I6"),
        {"store": WritesFromAnywhere, "fold_progress": GoesOnFromTheGroup},
        faults=("crash", "store-away"),
    ),
    PlantedBug("a webhook is deleted before it is delivered", ("I9",), {"deliverer": DeletesBeforeDelivery}),
    PlantedBug("a webhook's id is drawn anew", ("I9",), {"webhooks": DrawsIdsAnew}),
    PlantedBug("a webhook goes to another org", ("I7",), {"notifier_store": MixesServersUp}),
    PlantedBug("counters go up by one", ("I4", "I5"), {"store": CountsEvents}),
    PlantedBug("rows and offset are written apart", ("I4", "I5", "I8"), {"store": SavesTheOffsetFirst}),
)
