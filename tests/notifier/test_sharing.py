"""Orgs share a notifier: none holds up another's webhooks, however many receivers it has and whatever they do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from services.notifier.delivering import Deliverer
from services.notifier.in_flight import Bounds
from services.notifier.memory_store import MemoryNotifierStore
from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import Delivery
from services.notifier.sending import Answer
from services.notifier.settings import NotifierSettings
from tests.notifier.given import NOW, event, ready
from tests.support.clock import ManualClock
from tests.support.eventually import eventually


@dataclass(slots=True)
class Servers:
    """All customers' servers; those of the orgs in `silent` answer only when told to, and then that they are broken."""

    silent: set[str]
    asked: list[Delivery] = field(default_factory=list)
    waiting: dict[str, asyncio.Event] = field(default_factory=dict)
    under_way: Counter[str] = field(default_factory=Counter)

    async def send(self, delivery: Delivery) -> Answer:
        self.asked.append(delivery)
        if delivery.org_id not in self.silent:
            return Answer(200)
        self.under_way[delivery.org_id] += 1
        self.waiting[delivery.id] = asyncio.Event()
        await self.waiting[delivery.id].wait()
        self.under_way[delivery.org_id] -= 1
        return Answer(error="no answer came")

    def fail_one(self) -> None:
        """The one of the silent that was asked first says no."""
        self.waiting.pop(next(iter(self.waiting))).set()

    def asked_of(self, org: str) -> int:
        return sum(delivery.org_id == org for delivery in self.asked)


@asynccontextmanager
async def sharing(receivers: Mapping[str, int], bounds: Bounds, silent: set[str], partitions: int = 1) -> AsyncIterator[Servers]:
    """A deliverer with one webhook for each of so many receivers of each org; orgs go round the partitions."""
    store, servers, clock = MemoryNotifierStore(), Servers(silent), ManualClock(NOW)
    places: Counter[int] = Counter()
    for index, (org, count) in enumerate(receivers.items()):
        partition = index % partitions
        await store.place(partition, NOW, 60)
        for number in range(count):
            campaign = f"{org}-{number}"
            created = ready(server={"url": f"https://h{number}.{org}.example/"}, campaign=campaign, org=org)
            facts = [*created, event("CampaignStarted", campaign=campaign, org=org)]
            await store.take_in(partition, places[partition], places[partition] + len(facts), facts, NOW)
            places[partition] += len(facts)
    deliverer = Deliverer(store, servers, clock, bounds, lambda: range(partitions), NotifierMetrics(CollectorRegistry()))
    task = asyncio.create_task(deliverer.run())
    try:
        yield servers
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await deliverer.close(0)


async def test_an_org_whose_receivers_all_hang_holds_its_share_and_no_more() -> None:
    async with sharing({"acme": 60, "other": 30}, Bounds(20, 5, 4, 3_600), {"acme"}) as servers:
        await eventually(lambda: asyncio.sleep(0, servers.asked_of("other")), lambda asked: asked == 30)
        assert servers.under_way == {"acme": 5}


@pytest.mark.parametrize("partitions", [1, 3])
async def test_places_that_get_free_go_round_the_orgs_in_turn(partitions: int) -> None:
    orgs = ["acme", "brass", "other"]
    async with sharing(dict.fromkeys(orgs, 30), Bounds(2, 2, 2, 3_600), set(orgs), partitions) as servers:
        for failed in range(24):
            await eventually(lambda seen=failed + 2: asyncio.sleep(0, len(servers.asked) == seen))  # type: ignore[misc]
            servers.fail_one()
        asked = [delivery.org_id for delivery in servers.asked]
        assert all(set(asked[start : start + 3]) == set(orgs) for start in range(0, 24, 3)), asked


async def test_a_place_that_gets_free_goes_to_another_receiver_of_the_org_than_the_one_that_had_it() -> None:
    async with sharing({"acme": 6}, Bounds(2, 2, 2, 3_600), {"acme"}) as servers:
        for failed in range(4):
            await eventually(lambda seen=failed + 2: asyncio.sleep(0, len(servers.asked) == seen))  # type: ignore[misc]
            servers.fail_one()
        await eventually(lambda: asyncio.sleep(0, len(servers.asked) == 6))
        assert len({delivery.campaign_id for delivery in servers.asked}) == 6


def test_an_orgs_share_is_a_tenth_unless_told_otherwise_and_as_much_as_one_receiver_gets_at_least() -> None:
    assert NotifierSettings.load().bounds().in_flight_per_org == 100
    assert NotifierSettings.load(notifier_max_in_flight=50).bounds().in_flight_per_org == 8
    assert NotifierSettings.load(notifier_max_in_flight_per_org=7).bounds().in_flight_per_org == 7
