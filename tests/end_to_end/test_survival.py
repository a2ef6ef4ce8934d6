"""kill -9 of everything in the middle of a campaign, and a read model that is folded anew."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from events.calls import OUTCOME_UNKNOWN
from infra.kafka.broker import Broker
from tests.end_to_end.user import FAST, User, user_of
from tests.support.eventually import eventually
from tests.support.stack import RunningStack

_SOON_UNKNOWN = {"DIAL_OUTCOME_SECONDS": "5", "CLAIM_VALID_SECONDS": "3", "PROVIDER_TIMEOUT_SECONDS": "1.5"}
_VICTIMS = ("engine", "projector", "dialer", "notifier", "api", "broker")


async def test_whatever_is_killed_every_customer_is_accounted_for_once_and_no_post_is_doubled(
    start_stack: Callable[..., Awaitable[RunningStack]], own_broker: Broker
) -> None:
    stack = await start_stack(broker=own_broker, **FAST, **_SOON_UNKNOWN, LONGEST_CALL_SECONDS="20", LONGEST_CALL_GRACE_SECONDS="1")
    async with user_of(stack) as user:
        created = await user.create(300, maxConcurrency=10)
        for victim in _VICTIMS:
            before = await eventually(lambda: user.get_or_none(created["id"]), lambda answer: answer is not None)
            assert before is not None
            await eventually(
                lambda: user.get_or_none(created["id"]),
                lambda answer, ended=before["callsCounterEnded"]: answer is not None and answer["callsCounterEnded"] > ended,  # type: ignore[misc]
                60,
            )
            stack.kill(victim)
            await asyncio.sleep(0.3)
            await stack.start(victim)
            for name, child in stack.children.items():
                if not child.runs():
                    await stack.start(name)
        ended = await user.until_ended(created["id"], 300, 120)
        assert ended["endedReason"] == "campaign.ended.success"
        posts = await user.posts(ended)
        unknown = sum(call["endedReason"] == OUTCOME_UNKNOWN for call in ended["calls"].values())
        assert posts.keys() <= {0, 1}
        assert posts[0] <= unknown


async def test_a_rebuilt_read_model_answers_byte_for_byte_the_same(start_stack: Callable[..., Awaitable[RunningStack]]) -> None:
    stack = await start_stack(**FAST)
    async with user_of(stack) as user:
        created = [await user.create(count) for count in (20, 3)]
        paths = ["/campaign"] + [f"/campaign/{c['id']}" for c in created]
        for campaign, count in zip(created, (20, 3), strict=True):
            await user.until_ended(campaign["id"], count)
        before = await settled(lambda: answers(user, paths))
        for name in ("api", "engine", "projector"):
            stack.kill(name)
        for file in stack.settings.data_dir.glob("read-model.sqlite*"):
            file.unlink()
        rebuild = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.projector", "rebuild", env={**os.environ, **stack.children["projector"].environment}
        )
        assert await asyncio.wait_for(rebuild.wait(), 60) == 0
        for name in ("projector", "engine", "api"):
            await stack.start(name)
        assert await answers(user, paths) == before


async def answers(user: User, paths: list[str]) -> list[bytes]:
    found = []
    for path in paths:
        async with user.http.get(f"{user.stack.api_url}{path}") as response:
            assert response.status == 200
            found.append(await response.read())
    return found


async def settled(look: Callable[[], Awaitable[list[bytes]]]) -> list[bytes]:
    """What `look` gives once it stays the same for a second: the providers' last reports come after the calls' ends."""
    seen: list[list[bytes]] = [[]]

    async def still() -> bool:
        await asyncio.sleep(1)
        seen.append(await look())
        return seen[-1] == seen[-2]

    await eventually(still)
    return seen[-1]


async def test_every_service_stops_cleanly_on_sigterm_while_the_broker_is_away(
    start_stack: Callable[..., Awaitable[RunningStack]], own_broker: Broker
) -> None:
    stack = await start_stack(broker=own_broker, **FAST)
    stack.kill("broker")
    await asyncio.sleep(1)
    for name in stack.children:
        await stack.stop(name)
