"""Owns the words of the projections' tests: a log as the engine writes it, and the rows that a fold makes of it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from events.codec import encode_event
from events.envelope import Event
from projections.campaign_progress.fold import Progress
from projections.campaign_progress.rows import COUNTERS, CallRow, CampaignRow
from projections.campaign_progress.tally import clear, move, tally
from projections.handled_commands.fold import HandledRow, fold_handled
from projections.reading import LogEvent, read_events
from projections.store.dump import dump
from projections.store.engine import open_database
from projections.store.memory_store import MemoryProjectionStore
from projections.store.port import Applied, ProjectionStore
from projections.store.sql_store import SqlProjectionStore

PARTITION = 1


def records(events: Iterable[Event], start: int = 0) -> list[LogEvent]:
    """The events as they come from the log."""
    return read_events([encode_event(event, f"e-{number}") for number, event in enumerate(events, start)])


def spread(events: Sequence[Event]) -> list[Event]:
    """The same events, each a millisecond after the one before, as no two of one call's or one user's are closer than that."""
    return [replace(event, at=event.at + timedelta(milliseconds=number)) for number, event in enumerate(events)]


class Rows:
    """The read model in memory, folded in batches: what a store must hold too."""

    def __init__(self) -> None:
        self.campaigns: dict[str, CampaignRow] = {}
        self.calls: dict[str, CallRow] = {}
        self.contacts: dict[str, tuple[Any, ...]] = {}
        self.handled: dict[tuple[str, str], HandledRow] = {}

    def fold(self, batch: Sequence[LogEvent]) -> "Rows":
        progress = Progress(PARTITION, self.campaigns, self.calls)
        for record in batch:
            progress.fold(record)
            fold_handled(self.handled, record, PARTITION)
        progress.settle()
        self.contacts = {k: v for k, v in (self.contacts | progress.contacts).items() if not _is_dropped(v, progress.dropped)}
        self.calls = {k: call for k, call in self.calls.items() if k in self.contacts}
        return self

    def campaign(self) -> CampaignRow:
        """The only one."""
        (campaign,) = self.campaigns.values()
        return campaign

    def call(self, position: int = 0) -> CallRow:
        (found,) = (self.calls[contact[0]] for contact in self.contacts.values() if contact[3] == position)
        return found

    def seen(self) -> dict[str, Any]:
        """Everything, comparable."""
        return {
            "campaigns": {k: asdict(v) for k, v in self.campaigns.items()},
            "calls": {k: asdict(v) for k, v in self.calls.items()},
            "contacts": dict(self.contacts),
            "handled": dict(self.handled),
        }

    def recounted(self) -> dict[str, dict[str, int]]:
        """The counters of each campaign, counted anew from its calls."""
        counted = {}
        for campaign in self.campaigns.values():
            fresh = replace(campaign)
            clear(fresh)
            for call in self.calls.values():
                if call.campaign_id == campaign.id:
                    move(fresh, None, tally(call))
            counted[campaign.id] = counters(fresh)
        return counted


def _is_dropped(contact: tuple[Any, ...], dropped: dict[str, int]) -> bool:
    return bool(contact[3] < dropped.get(contact[1], 0))


def counters(campaign: CampaignRow) -> dict[str, int]:
    return {name: getattr(campaign, name) for name in COUNTERS}


def folded(log: Sequence[LogEvent]) -> Rows:
    return Rows().fold(log)


@asynccontextmanager
async def open_store(database_url: str) -> AsyncIterator[SqlProjectionStore]:
    """A store with its schema; its connections are closed at the end."""
    database = open_database(database_url)
    store = SqlProjectionStore(database)
    try:
        await store.ensure_schema()
        yield store
    finally:
        await store.close()
        await database.dispose()


async def fill(store: ProjectionStore, log: Sequence[LogEvent], cuts: Iterable[int] = ()) -> None:
    """Apply the log from offset 0 in batches that end at the cuts."""
    start = 0
    for end in [*sorted(cuts), len(log)]:
        if end > start:
            assert isinstance(await store.apply(PARTITION, start, end, log[start:end]), Applied)
            start = end


async def dumped(store: ProjectionStore) -> bytes:
    if isinstance(store, MemoryProjectionStore):
        return b"".join(store.dump())
    assert isinstance(store, SqlProjectionStore)
    return b"".join([line async for line in dump(store.database)])
