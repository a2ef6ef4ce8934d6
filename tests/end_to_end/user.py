"""Owns a user of the stack: a client with a key, the campaigns it posts, and the provider's own count beside it."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.eventually import eventually
from tests.support.stack import RunningStack

COUNTERS = ("callsCounterScheduled", "callsCounterQueued", "callsCounterInProgress", "callsCounterEnded")
FAST = {
    "SIMULATOR_TIME_SCALE": "200",
    "SIMULATOR_SEED": "7",
}
"""A phone network on which a call of a minute takes 0.3 seconds."""


def customers(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"number": f"+1415{first + n:07d}"} for n in range(count)]


def campaign(count: int, **fields: Any) -> dict[str, Any]:
    return {"name": "Spring", "assistantId": "asst-1", "phoneNumberId": "pn-1", "customers": customers(count), **fields}


def total(answer: dict[str, Any]) -> int:
    """How many calls the counters speak of."""
    return sum(int(answer[counter]) for counter in COUNTERS)


@dataclass(slots=True)
class User:
    """One org's user."""

    stack: RunningStack
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The decoded answer, which must have this status."""
        async with self.http.request(method, f"{self.stack.api_url}{path}", json=body) as response:
            answer = await response.json()
            assert response.status == status, (response.status, answer)
            return answer

    async def create(self, count: int, **fields: Any) -> dict[str, Any]:
        created: dict[str, Any] = await self.call("POST", "/campaign", campaign(count, **fields), 201)
        return created

    async def get(self, campaign_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.call("GET", f"/campaign/{campaign_id}")
        return answer

    async def get_or_none(self, campaign_id: str) -> dict[str, Any] | None:
        """`None` while the API is away."""
        try:
            return await self.get(campaign_id)
        except (AssertionError, aiohttp.ClientError):
            return None

    async def until_ended(self, campaign_id: str, contacts: int, seconds: float = 60.0) -> dict[str, Any]:
        """The campaign once it has ended and none of its calls is under way; its counters add up at every look."""

        async def look() -> dict[str, Any] | None:
            try:
                listed = (await self.call("GET", f"/campaign?id={campaign_id}"))["results"]
            except (AssertionError, aiohttp.ClientError):
                return None
            assert [total(campaign) for campaign in listed] == [contacts]
            return dict(listed[0])

        await eventually(look, lambda a: a is not None and a["status"] == "ended" and a["callsCounterEnded"] == contacts, seconds)
        answer = await self.get(campaign_id)
        assert total(answer) == len(answer["calls"]) == contacts
        return answer

    async def provider(self) -> dict[str, Any]:
        """What the phone network counted, of everybody's calls."""
        settings = self.stack.settings
        async with self.http.get(f"http://{settings.host}:{settings.simulator_port}/stats?calls=true") as response:
            stats: dict[str, Any] = await response.json()
            return stats

    async def posts(self, answer: dict[str, Any]) -> Counter[int]:
        """How many calls of the campaign the phone network was asked for once, twice, ... and not at all."""
        counted = (await self.provider())["calls"]
        return Counter(sum(counted.get(call_id, {}).values()) for call_id in answer["calls"])


@asynccontextmanager
async def user_of(stack: RunningStack, org: str = "acme") -> AsyncIterator[User]:
    """A user with a new key of the org."""
    key = await stack.create_key(org)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        yield User(stack, http)
