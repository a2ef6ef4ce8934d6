"""Owns the read model in memory: a `ProjectionStore` for simulations and tests, made from the same folds as the one in SQL."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from events.instants import parse_instant
from projections.campaign_progress.fold import Progress, touched
from projections.campaign_progress.rows import CALL_COLUMNS, CAMPAIGN_COLUMNS, CallRow, CampaignRow, ContactRow
from projections.dial_task.task import DialTask
from projections.engine_snapshot.snapshot import EngineSnapshot, HandledCommand
from projections.handled_commands.fold import HandledRow, answers_to_users, fold_handled, forgotten_before, named_commands
from projections.reading import LogEvent
from projections.store.dial_reads import dial_task
from projections.store.port import Applied, Fenced, ReadModelMismatchError
from projections.store.snapshot_reads import call_snapshot, campaign_snapshot, plan_of
from projections.store.tables import LIVE

_campaign_values = attrgetter(*CAMPAIGN_COLUMNS)
_call_values = attrgetter(*CALL_COLUMNS)
_handled_values = attrgetter(*LIVE.handled_commands.columns.keys())
_dumped_campaign = attrgetter(*LIVE.campaigns.columns.keys())
_dumped_state = attrgetter(*LIVE.calls.columns.keys()[len(ContactRow._fields) :])


@dataclass(frozen=True, slots=True)
class _Offset:
    next_offset: int = 0
    last_event_at: str | None = None


@dataclass(frozen=True, slots=True)
class _Dialed:
    """A call's row joined with its campaign's, under the names of the query in SQL."""

    id: str
    campaign_id: str
    position: int
    customer: str
    phone_number_id: str | None
    status: str
    attempt: int
    claim_id: str | None
    created_at: str
    org_id: str
    campaign_status: str
    paused: bool
    deleted: bool


class MemoryProjectionStore:
    """A `ProjectionStore`. No method waits for anything, so each is one transaction; rows are replaced, never changed in place."""

    def __init__(self) -> None:
        self.campaigns: dict[str, CampaignRow] = {}
        self.contacts: dict[str, ContactRow] = {}
        self.calls: dict[str, CallRow] = {}
        self.handled: dict[tuple[str, str], HandledRow] = {}
        self._offsets: dict[int, _Offset] = {}
        self._identity: tuple[int, str, str, int] | None = None

    async def ensure_schema(self) -> None:
        """There is none."""

    async def check_identity(self, fold_version: int, cluster_id: str, topic_id: str, partitions: int) -> None:
        given = (fold_version, cluster_id, topic_id, partitions)
        if self._identity is None:
            self._identity = given
        if self._identity != given:
            raise ReadModelMismatchError(f"the read model was folded with {self._identity}, this is {given}: rebuild it")

    async def next_offsets(self) -> dict[int, int]:
        return {partition: offset.next_offset for partition, offset in self._offsets.items()}

    async def apply(self, partition: int, start_offset: int, next_offset: int, records: Iterable[LogEvent]) -> Applied | Fenced:
        stored = self._offsets.get(partition, _Offset())
        if stored.next_offset != start_offset:
            return Fenced(stored.next_offset)
        records = list(records)
        if not records:
            self._offsets[partition] = _Offset(next_offset, stored.last_event_at)
            return Applied(next_offset, 0)
        progress, handled = self._folded(partition, records)
        last_event_at = max(stored.last_event_at or "", *(record.time for record in records), "")
        self._keep(progress)
        self.handled |= handled
        self._forget(partition, last_event_at)
        self._offsets[partition] = _Offset(next_offset, last_event_at)
        return Applied(next_offset, len(progress.changed_campaigns))

    def _folded(self, partition: int, records: Sequence[LogEvent]) -> tuple[Progress, dict[tuple[str, str], HandledRow]]:
        """On copies, so that a batch that can not be folded leaves no trace."""
        campaign_ids, call_ids = touched(records)
        campaigns = {id: CampaignRow(*_campaign_values(self.campaigns[id])) for id in campaign_ids if id in self.campaigns}
        calls = {id: CallRow(*_call_values(self.calls[id])) for id in call_ids if id in self.calls}
        progress = Progress(partition, campaigns, calls)
        known = {key: self.handled[key] for key in named_commands(answers_to_users(records)) if key in self.handled}
        handled: dict[tuple[str, str], HandledRow] = {}
        for record in records:
            progress.fold(record)
            row = fold_handled(known, record, partition)
            if row is not None:
                handled[row.org_id, row.command_id] = row
        progress.settle()
        return progress, handled

    def _keep(self, progress: Progress) -> None:
        for campaign_id, first_position in progress.dropped.items():
            dropped = [c.id for c in self.contacts.values() if c.campaign_id == campaign_id and c.position < first_position]
            for call_id in dropped:
                del self.contacts[call_id], self.calls[call_id]
        self.contacts |= progress.contacts
        self.calls |= progress.changed
        self.campaigns |= progress.changed_campaigns

    def _forget(self, partition: int, at: str) -> None:
        before = forgotten_before(at)
        for key in [key for key, row in self.handled.items() if row.partition == partition and row.first_at < before]:
            del self.handled[key]

    async def engine_snapshot(self, partition: int) -> EngineSnapshot:
        stored = self._offsets.get(partition, _Offset())
        now = stored.last_event_at or ""
        campaigns = sorted((row for row in self.campaigns.values() if row.partition == partition), key=attrgetter("created_at", "id"))
        held = [row for id, row in self.calls.items() if self.contacts[id].partition == partition and _is_held(row, now)]
        handled = sorted(
            (row for row in self.handled.values() if row.partition == partition), key=attrgetter("first_at", "org_id", "command_id")
        )
        return EngineSnapshot(
            next_offset=stored.next_offset,
            last_event_at=None if stored.last_event_at is None else parse_instant(stored.last_event_at),
            campaigns=[campaign_snapshot(row, plan_of(row.spec)) for row in campaigns],
            active_calls=[call_snapshot(row) for row in sorted(held, key=lambda row: (row.campaign_id, self.contacts[row.id].position))],
            handled=[
                HandledCommand(r.org_id, r.command_id, r.campaign_id, r.first_type, parse_instant(r.first_at), r.request_hash)
                for r in handled
            ],
        )

    async def dial_tasks(self, call_ids: Iterable[str]) -> dict[str, DialTask]:
        return {id: self._dial_task(id) for id in sorted(call_ids) if id in self.calls}

    def _dial_task(self, call_id: str) -> DialTask:
        call, contact = self.calls[call_id], self.contacts[call_id]
        campaign = self.campaigns[call.campaign_id]
        row = _Dialed(
            id=call_id,
            campaign_id=campaign.id,
            position=contact.position,
            customer=contact.customer,
            phone_number_id=contact.phone_number_id,
            status=call.status,
            attempt=call.attempt,
            claim_id=call.claim_id,
            created_at=contact.created_at,
            org_id=campaign.org_id,
            campaign_status=campaign.status,
            paused=campaign.paused,
            deleted=campaign.deleted,
        )
        return dial_task(row, orjson.loads(campaign.spec))

    def dump(self) -> Iterator[bytes]:
        """The same lines as `projections.store.dump.dump` gives of the tables."""
        for _, campaign in sorted(self.campaigns.items()):
            yield _line(_dumped_campaign(campaign))
        for call_id, call in sorted(self.calls.items()):
            yield _line((*self.contacts[call_id], *_dumped_state(call)))
        for _, handled in sorted(self.handled.items()):
            yield _line(_handled_values(handled))


def _is_held(call: CallRow, now: str) -> bool:
    """Whether it holds a slot, or its final report is still awaited."""
    if call.status == "ended":
        return call.report_due_at is not None and call.report_due_at > now
    return call.status != "scheduled"


def _line(values: tuple[Any, ...]) -> bytes:
    return orjson.dumps(values) + b"\n"
