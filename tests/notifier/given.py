"""Owns the words of the notifier's tests: events of a campaign whose server wants to be told."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from events.envelope import EventRecord
from events.instants import iso
from services.notifier.messages import NAMES

ORG = "acme"
CAMPAIGN = str(UUID(int=1))
NOW = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)
URL = "https://hooks.example/in"
_ids = count()


def call_id(number: int = 0) -> str:
    return str(UUID(int=1_000 + number))


def event(type: str, call: int | None = None, *, campaign: str = CAMPAIGN, org: str = ORG, ago: float = 0, **data: Any) -> EventRecord:
    """A fact of a fresh id, `ago` seconds before `NOW`."""
    record = EventRecord(
        specversion="1.0",
        id=f"event-{next(_ids)}",
        source="/ringfold/engine",
        type=f"{type}.v1",
        subject=campaign,
        time=iso(NOW - timedelta(seconds=ago)),
        orgid=org,
        data=data,
    )
    if call is not None:
        record["callid"] = call_id(call)
    return record


def created(names: Any = NAMES, server: dict[str, Any] | None = None, **more: Any) -> EventRecord:
    where = {"url": URL} if server is None else server
    return event("CampaignCreated", name="Spring", server=where, serverMessages=sorted(names), maxConcurrency=10, **more)


def ready(names: Any = NAMES, server: dict[str, Any] | None = None, campaign: str = CAMPAIGN, org: str = ORG) -> list[EventRecord]:
    """A campaign that is created and complete."""
    return [created(names, server, campaign=campaign, org=org), event("ContactsCompleted", campaign=campaign, org=org, contacts=2)]
