"""Owns the dead webhooks of an API test: the real index, and a notifier that does at once what it is asked."""

import asyncio
from dataclasses import dataclass, field
from uuid import uuid4

from events.codec import decode_command
from events.envelope import Command
from events.instants import parse_instant
from events.webhooks import WEBHOOK_COMMAND_TYPES, DeadWebhook, ReplayWebhooks, WebhookReplay
from projections.queries.views import Page
from services.api.webhook_index import WebhookIndex


def dead_webhook(id: str, org_id: str, campaign_id: str, at: str = "2030-01-01T09:00:00Z") -> DeadWebhook:
    return DeadWebhook(
        id=id,
        org_id=org_id,
        campaign_id=campaign_id,
        sequence=1,
        event_type="campaign.ended",
        message={"type": "campaign.event", "campaignId": campaign_id, "data": {}},
        attempts=3,
        last_error="answered 500",
        queued_at=parse_instant("2030-01-01T08:00:00Z"),
        dead_at=parse_instant(at),
    )


@dataclass
class MemoryWebhooks:
    """`WebhookState` of a topic that is always read to its end."""

    index: WebhookIndex
    notifier_runs: bool = True
    commands: list[Command] = field(default_factory=list)
    dead_now: dict[str, DeadWebhook] = field(default_factory=dict)
    handled: set[str] = field(default_factory=set)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def died(self, org_id: str, campaign_id: str, at: str = "2030-01-01T09:00:00Z") -> str:
        """The id of a webhook that was given up."""
        webhook = dead_webhook(str(uuid4()), org_id, campaign_id, at)
        self.dead_now[webhook.id] = webhook
        await self.index.fold([(webhook.id, webhook)])
        return webhook.id

    async def take(self, record: bytes) -> None:
        self.commands.append(decode_command(record, WEBHOOK_COMMAND_TYPES))
        if self.notifier_runs:
            await self.handle()

    async def handle(self) -> None:
        """What the notifier does of the commands: each id once."""
        for command in self.commands:
            assert isinstance(command.data, ReplayWebhooks)
            if command.id in self.handled:
                continue
            self.handled.add(command.id)
            own = [webhook.id for webhook in self.dead_now.values() if webhook.org_id == command.org_id]
            revived = [id for id in own if command.data.ids is None or id in command.data.ids]
            for id in revived:
                del self.dead_now[id]
            told = WebhookReplay(id=command.id, org_id=command.org_id, request_hash=command.request_hash, replayed=len(revived))
            await self.index.fold([*((id, None) for id in revived), (command.id, told)])
            self.told.set()

    async def dead(self, org_id: str, campaign_id: str | None, page: int, limit: int, descending: bool) -> Page[bytes]:
        return await self.index.dead(org_id, campaign_id, page, limit, descending)

    async def outcome(self, org_id: str, command_id: str) -> WebhookReplay:
        while (known := await self.index.replay(org_id, command_id)) is None:
            self.told.clear()
            await self.told.wait()
        return known
