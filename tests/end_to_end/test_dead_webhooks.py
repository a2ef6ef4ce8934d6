"""Webhooks that a customer's server refuses die, are read over the API, and are sent again when the customer asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.user import FAST, User, user_of
from tests.notifier.receiver import Receiver, receiving
from tests.support.eventually import eventually
from tests.support.stack import RunningStack

NAMES = ["campaign.started", "campaign.ended"]
AT_ONCE_DEAD = {"type": "fixed", "maxRetries": 0, "baseDelaySeconds": 0}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        receiver.status = 500
        yield receiver


async def dead(user: User, query: str = "") -> list[dict[str, Any]]:
    return list((await user.call("GET", f"/webhooks/dead{query}"))["results"])


async def given_dead(user: User, receiver: Receiver) -> dict[str, Any]:
    """A campaign whose two webhooks were refused and given up."""
    server = {"url": receiver.url, "backoffPlan": AT_ONCE_DEAD}
    campaign = await user.create(1, server=server, serverMessages=NAMES)
    await eventually(lambda: dead(user, f"?campaignId={campaign['id']}"), lambda seen: len(seen) == 2)
    return campaign


async def replay(user: User, body: dict[str, Any], key: str) -> Any:
    """The answer, asked again under the same key until there is one."""

    async def ask() -> Any:
        try:
            async with user.http.post(
                f"{user.stack.api_url}/webhooks/dead/replay", json=body, headers={"Idempotency-Key": key}
            ) as response:
                return await response.json() if response.status == 201 else None
        except aiohttp.ClientError:
            return None

    return await eventually(ask, bool, 60)


async def test_what_is_dead_is_read_and_sent_again_over_the_api_and_an_api_or_notifier_that_is_killed_loses_none_of_it(
    start_stack: Callable[..., Awaitable[RunningStack]], receiver: Receiver
) -> None:
    stack = await start_stack(WEBHOOK_ALLOWED_PRIVATE_HOSTS="127.0.0.1", **FAST)
    async with user_of(stack, "acme") as user, user_of(stack, "other") as other:
        campaign = await given_dead(user, receiver)
        listed = await dead(user)
        assert {webhook["eventType"] for webhook in listed} == set(NAMES)
        assert {(webhook["campaignId"], webhook["lastError"], webhook["attempts"]) for webhook in listed} == {
            (campaign["id"], "answered 500", 1)
        }
        assert await dead(other) == []
        ids = [webhook["id"] for webhook in listed]
        assert (await other.call("POST", "/webhooks/dead/replay", {"ids": ids}, 201))["webhooksReplayed"] == 0

        # what is sent again and refused again is dead again
        first = await replay(user, {"ids": ids[:1]}, "k-1")
        assert first["webhooksReplayed"] == 1
        await eventually(lambda: dead(user), lambda seen: len(seen) == 2)
        assert await replay(user, {"ids": ids[:1]}, "k-1") == first
        assert receiver.times() == {ids[0]: 2, ids[1]: 1}

        # the api reads it anew from the topic, and a command that comes while the notifier is away is carried out later
        stack.kill("api")
        stack.kill("notifier")
        await stack.start("api")
        assert {webhook["id"] for webhook in await dead(user)} == set(ids)
        receiver.status = 200
        asking = asyncio.create_task(replay(user, {"all": True}, "k-2"))
        await stack.start("notifier")
        assert (await asking)["webhooksReplayed"] == 2
        assert await dead(user) == []
        await eventually(lambda: times(receiver), lambda seen: seen == {ids[0]: 3, ids[1]: 2})
        assert (await replay(user, {"all": True}, "k-2"))["webhooksReplayed"] == 2


async def times(receiver: Receiver) -> dict[str, int]:
    return dict(receiver.times())


async def test_a_notifier_that_lost_its_store_takes_back_what_it_said_was_dead(
    start_stack: Callable[..., Awaitable[RunningStack]], receiver: Receiver
) -> None:
    stack = await start_stack(WEBHOOK_ALLOWED_PRIVATE_HOSTS="127.0.0.1", **FAST)
    async with user_of(stack, "acme") as user:
        await given_dead(user, receiver)
        stack.kill("notifier")
        for file in stack.settings.data_dir.glob("notifier.sqlite*"):
            file.unlink()
        receiver.status = 200
        await stack.start("notifier")
        await eventually(lambda: dead(user), lambda seen: not seen)
        assert set(receiver.times().values()) == {2}
