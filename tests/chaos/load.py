"""Owns the users of a stack: what they ask for in a round, over HTTP and by commands."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from events.ids import campaign_id_of
from infra.stack.client import create_key
from tests.chaos.asking import HttpUser
from tests.chaos.commanding import KafkaUser
from tests.chaos.promises import AMY, BOB, CY, ORGS, Closed, Edits, Promises
from tests.chaos.stack import ChaosStack
from tests.chaos.watch import Watch

MESSAGES = [
    *("campaign.started", "campaign.ended", "campaign.cancelled", "campaign.archived"),
    *("contact.dispatched", "contact.completed", "contact.failed", "contact.skipped"),
]
_CLOSINGS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("PATCH", "/campaign", {"json": {"status": "ended"}}, "over"),
    ("PATCH", "/v2/campaign", {"json": {"status": "cancelled"}}, "over"),
    ("DELETE", "/campaign", {}, "deleted"),
    ("DELETE", "/v2/campaign", {}, "archived"),
)
"""How a campaign is stopped or deleted, and what it is then."""


@dataclass(slots=True)
class Users:
    """Amy and Bob come over HTTP, Cy by commands on Kafka; all three look at what they have."""

    stack: ChaosStack
    rng: random.Random
    promises: Promises = field(default_factory=Promises)
    http: dict[str, HttpUser] = field(default_factory=dict)
    _kafka: KafkaUser | None = None
    _watch: Watch | None = None

    @property
    def kafka(self) -> KafkaUser:
        assert self._kafka is not None
        return self._kafka

    async def start(self) -> None:
        stack = self.stack
        keys = await asyncio.gather(*(create_key(stack.settings, org, "chaos", stack.environment) for org in ORGS))
        self.http = {org: HttpUser(stack.api_url, key, self.rng, self.promises) for org, key in zip(ORGS, keys, strict=True)}
        servers, prefix = stack.broker.bootstrap_servers, stack.environment["TOPIC_PREFIX"]
        self._kafka = KafkaUser(servers, prefix, CY, self.rng, self.promises)
        await self._kafka.start()
        self._watch = Watch(self.http, self.promises)
        self._watch.start()

    async def stop(self) -> None:
        if self._watch is not None:
            await self._watch.stop()
        if self._kafka is not None:
            await self._kafka.stop()

    def draw_from(self, seed: int) -> None:
        """What is asked for from here on follows from the seed, but for what the order of events decides."""
        self.rng.seed(seed)

    def forget_what_was_shown(self) -> None:
        """After an old backup was restored."""
        if self._watch is not None:
            self._watch.forget_what_was_shown()

    def answers(self) -> Counter[int]:
        """How often each HTTP status came."""
        return sum((user.answers for user in self.http.values()), Counter[int]())

    async def ask_once(self, name: str) -> tuple[int | None, str]:
        """One creation of bob's without repeats, in the middle of a fault: its status and message."""
        return await self.http[BOB].ask_once(self._campaign(BOB, name, 1))

    async def work(self, number: int, size: int) -> None:
        """One round's requests; returns when each was answered for good."""
        await asyncio.gather(
            self._create_and_rename(AMY, self._campaign(AMY, f"{number}a", size, maxConcurrency=4)),
            self._create_and_add(BOB, self._campaign(BOB, f"{number}b", size // 2, maxConcurrency=3), by_csv=number % 2 == 1),
            self._create_later(AMY, self._campaign(AMY, f"{number}c", size // 2, predialPlan={"enabled": True})),
            self._create_and_close(BOB, self._campaign(BOB, f"{number}d", size, maxConcurrency=1)),
            self._command(self._campaign(CY, f"{number}e", size // 2, maxConcurrency=4)),
        )

    def _campaign(self, org: str, tag: str, count: int, **more: Any) -> dict[str, Any]:
        host = self.stack.environment["WEBHOOK_ALLOWED_PRIVATE_HOSTS"]
        plan = {"type": "fixed", "maxRetries": 10, "baseDelaySeconds": 2}
        campaign = {
            "name": f"{org}-campaign-{tag}",
            "assistantId": f"{org}-assistant",
            "phoneNumberId": f"{org}-number",
            "customers": self._customers(org, max(1, count)),
            "server": {"url": f"http://{host}/in/{org}", "timeoutSeconds": 1, "backoffPlan": plan},
            "serverMessages": MESSAGES,
            **more,
        }
        self.promises.contacts[str(campaign["name"])] = max(1, count)
        return campaign

    def _customers(self, org: str, count: int) -> list[dict[str, str]]:
        return [{"number": f"+1415{self.rng.randrange(10**7):07d}", "name": f"{org}-customer"} for _ in range(count)]

    async def _create(self, org: str, campaign: dict[str, Any], *, by_csv: bool = False) -> str | None:
        """The campaign's id, or `None` where it was not answered for good."""
        status, answer = await self.http[org].ask("POST", "/campaign", lambda: {"data": _form(campaign)} if by_csv else {"json": campaign})
        if status == 201:
            self.promises.acknowledged.add(campaign["name"])
            return str(answer["id"])
        self.promises.uncertain.add(campaign["name"])
        if status != 400 or "came in time" not in str(answer):  # the engine's clock jumped between a CSV's head and its contacts
            self._expect(status, 201, f"the creation of {campaign['name']}", answer)
        return None

    def _expect(self, status: int | None, wanted: int, what: str, answer: dict[str, Any]) -> bool:
        """Whether it was answered so; any other answer than that, or than 503, is a fault."""
        if status not in (None, 503, wanted):
            self.promises.faults.append(f"I1: {what} was answered by {status}: {answer}")
        return status == wanted

    async def _create_later(self, org: str, campaign: dict[str, Any]) -> None:
        await asyncio.sleep(self.rng.uniform(0, 1))
        await self._create(org, campaign)

    async def _create_and_rename(self, org: str, campaign: dict[str, Any]) -> None:
        created = await self._create(org, campaign)
        if created is None:
            return
        await asyncio.sleep(self.rng.uniform(0, 0.5))
        name = campaign["name"] + "-renamed"
        status, answer = await self.http[org].ask("PATCH", f"/campaign/{created}", lambda: {"json": {"name": name}})
        if self._expect(status, 200, f"the renaming of {created}", answer):
            self.promises.edits.renamed[created] = name

    async def _create_and_add(self, org: str, campaign: dict[str, Any], *, by_csv: bool) -> None:
        """Contacts are added at once, when the campaign can hardly be over; then it is 400, and they are not added."""
        created = await self._create(org, campaign, by_csv=by_csv)
        if created is None:
            return
        more = _csv(self._customers(org, 2))
        send = {"data": more.encode(), "headers": {"Content-Type": "text/csv"}}
        status, answer = await self.http[org].ask("POST", f"/campaign/{created}/contacts", lambda: send)
        if status == 201:
            self.promises.edits.added[created] = answer["contactsAdded"]
        elif status in (None, 503):
            self.promises.uncertain.add(created)
        elif status != 400 or "until the campaign is over" not in str(answer):
            self._expect(status, 201, f"the addition to {created}", answer)

    async def _create_and_close(self, org: str, campaign: dict[str, Any]) -> None:
        method, path, body, state = self.rng.choice(_CLOSINGS)
        created = await self._create(org, campaign)
        if created is None:
            return
        await asyncio.sleep(self.rng.uniform(0.1, 0.8))
        status, answer = await self.http[org].ask(method, f"{path}/{created}", lambda: body)
        if self._expect(status, 200, f"{method} {path}/{created}", answer):
            self.promises.edits.closed[created] = Closed(state, answer.get("endedReason"))

    async def _command(self, campaign: dict[str, Any]) -> None:
        """In two parts; paused, added to, renamed and resumed; now and then archived or deleted."""
        last = self.rng.choice((None, None, ("ArchiveCampaign", "archived"), ("DeleteCampaign", "deleted")))
        name, customers = campaign["name"], campaign.pop("customers")
        created = campaign_id_of(CY, await self.kafka.command("CreateCampaign", campaign | {"parts": 2}))
        for part, some in enumerate((customers[:1], customers[1:] or self._customers(CY, 1))):
            await self.kafka.command("AddContacts", {"part": part, "customers": some}, created)
        self.promises.contacts[name] = max(2, len(customers))
        await self.kafka.command("PauseCampaign", {}, created)
        await self._edit(created, "AddContacts", {"customers": self._customers(CY, 1)}, Edits(added={created: 1}))
        await asyncio.sleep(self.rng.uniform(0, 0.5))
        await self._edit(created, "UpdateCampaign", {"name": f"{name}-renamed"}, Edits(renamed={created: f"{name}-renamed"}))
        await self.kafka.command("ResumeCampaign", {}, created)
        if last is not None:
            await asyncio.sleep(self.rng.uniform(0, 0.5))
            await self._edit(created, last[0], {}, Edits(closed={created: Closed(last[1])}))

    async def _edit(self, campaign_id: str, kind: str, data: dict[str, Any], edits: Edits) -> None:
        self.promises.commanded[await self.kafka.command(kind, data, campaign_id)] = edits


def _csv(customers: list[dict[str, str]]) -> str:
    return "number,name\n" + "".join(f"{customer['number']},{customer['name']}\n" for customer in customers)


def _form(campaign: dict[str, Any]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    spec = {name: value for name, value in campaign.items() if name != "customers"}
    form.add_field("campaign", json.dumps(spec), content_type="application/json")
    form.add_field("customers", _csv(campaign["customers"]), filename="contacts.csv", content_type="text/csv")
    return form
