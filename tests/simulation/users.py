"""Owns what the customers do: they create campaigns and meddle with them, send things twice, astray, or rubbish."""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiokafka.errors import KafkaError

from events import commands
from events.codec import encode_command
from events.commands import CommandData
from events.contacts import Customer
from events.envelope import Command
from events.ids import campaign_id_of
from events.topics import CAMPAIGN_COMMANDS
from tests.simulation.cluster import Cluster
from tests.simulation.loop import Life
from tests.simulation.producer import SimulatedProducer

_NAMES = ["campaign.started", "campaign.ended", "campaign.cancelled", "campaign.archived", "contact.dispatched"]
_NAMES += ["contact.completed", "contact.failed", "contact.skipped", "contact.predial-failed"]


@dataclass
class User:
    """One org. `acknowledged` are its commands of which it was told that they are taken."""

    org_id: str
    cluster: Cluster
    random: Random
    life: Life
    until: float
    acknowledged: list[str] = field(default_factory=list)
    campaigns: list[str] = field(default_factory=list)
    _producer: SimulatedProducer | None = None
    _sent: list[tuple[str, bytes]] = field(default_factory=list)

    async def live(self) -> None:
        """Until its time is up."""
        draw = self.random.random
        for _ in range(self.random.choice((1, 1, 2, 2, 3))):
            await asyncio.sleep(draw() * 5)
            await self._create()
        while self.cluster.loop.time() < self.until:
            await asyncio.sleep(0.5 + draw() * 12)
            await self._meddle()

    async def _create(self) -> None:
        draw, id = self.random.random, self._new_id()
        spec: dict[str, Any] = {
            "name": f"of {self.org_id}",
            "assistantId": f"assistant of {self.org_id}",
            "phoneNumberId": f"phone of {self.org_id}",
            "maxConcurrency": self.random.randint(1, 3),
        }
        if draw() < 0.7:
            spec |= {"server": {"url": f"https://{self.org_id}.test/hook"}, "serverMessages": _NAMES}
        if draw() < 0.3:
            spec["predialPlan"] = {"enabled": True}
        contacts = [self._customer(number) for number in range(self.random.randint(1, 5))]
        campaign_id = campaign_id_of(self.org_id, id)
        self.campaigns.append(campaign_id)
        if draw() < 0.8:
            await self.send(commands.CreateCampaign.model_validate({**spec, "customers": contacts}), id=id)
            return
        await self.send(commands.CreateCampaign.model_validate({**spec, "parts": len(contacts)}), id=id)
        for part, contact in enumerate(contacts):
            if draw() < 0.97:
                await self.send(commands.AddContacts(part=part, customers=[contact]), campaign_id)

    def _customer(self, number: int) -> Customer:
        return Customer.model_validate({"number": f"+1555000{number:04d}", "name": f"customer of {self.org_id}"})

    async def _meddle(self) -> None:
        campaign_id = self.random.choice(self.campaigns)
        match self.random.choice(("pause", "pause", "resume", "resume", "stop", "add", "rename", "again", "again", "rubbish", "archive")):
            case "pause":
                await self.send(commands.PauseCampaign(), campaign_id)
                if self.random.random() < 0.7:
                    await asyncio.sleep(self.random.random() * 10)
                    await self.send(commands.ResumeCampaign(), campaign_id)
            case "resume":
                await self.send(commands.ResumeCampaign(), campaign_id)
            case "stop":
                await self.send(commands.StopCampaign(status=self.random.choice(("ended", "cancelled"))), campaign_id)
            case "add":
                await self.send(commands.AddContacts(customers=[self._customer(99)]), campaign_id)
            case "rename":
                await self.send(commands.UpdateCampaign(name=f"again of {self.org_id}"), campaign_id)
            case "archive":
                await self.send(self.random.choice((commands.ArchiveCampaign(), commands.DeleteCampaign())), campaign_id)
            case "again":
                await self._append(*self.random.choice(self._sent))
            case _:
                rubbish = b'{"type": "PauseCampaign.v1", "id": ' + str(self.random.random()).encode()
                await self._append("", self.random.choice((rubbish, rubbish + b"}", b"null")))

    async def send(self, data: CommandData, campaign_id: str | None = None, id: str | None = None) -> None:
        command = Command(id or self._new_id(), self.org_id, data, "/users", campaign_id)
        value = encode_command(command)
        self._sent.append((command.id, value))
        for _ in range(2 if self.random.random() < 0.05 else 1):
            await self._append(command.id, value)

    async def _append(self, command_id: str, value: bytes) -> None:
        """Tried until it is acknowledged, as a retrying client would; so it may come twice."""
        while True:
            partition = self.cluster.partition_of(self.org_id)
            if self.random.random() < 0.05:
                partition = (partition + 1) % self.cluster.partitions
            try:
                if self._producer is None:
                    producer = SimulatedProducer(self.cluster, self.life)
                    await producer.start()
                    self._producer = producer
                await self._producer.send_and_wait(CAMPAIGN_COMMANDS.name, value, self.org_id.encode(), partition)
            except KafkaError:
                self._producer = None
                await asyncio.sleep(0.5)
                continue
            if command_id:
                self.acknowledged.append(command_id)
            return

    def _new_id(self) -> str:
        return f"{self.org_id}-{self.random.getrandbits(48):012x}"
