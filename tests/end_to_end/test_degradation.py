"""What goes on while a part is away: writes without the read model, calls that wait for their provider, and nothing used up meanwhile."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.end_to_end.user import User, campaign, user_of
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.postgres import fresh_database, running_postgres, start_postgres_again, stop_postgres
from tests.support.stack import RunningStack

_Start = Callable[..., Awaitable[RunningStack]]


async def test_without_the_read_model_writes_go_on_and_reads_say_503(start_stack: _Start) -> None:
    stack = await start_stack(API_READ_MODEL_PATIENCE_SECONDS="0.5")
    later = {"schedulePlan": {"earliestAt": "2035-01-01T09:00:00Z"}}
    file = stack.settings.data_dir / "read-model.sqlite"
    async with user_of(stack) as user:
        before = await user.call("POST", "/campaign", campaign(2, **later), 201)
        stack.kill("projector")
        await _folded_into_one_file(file)
        whole = file.read_bytes()
        _overwrite(file, bytes(len(whole)))
        created = await user.call("POST", "/campaign", campaign(3, **later), 201)
        assert (created["status"], created["callsCounterScheduled"], len(created["calls"])) == ("scheduled", 3, 3)
        renamed = await user.call("PATCH", f"/campaign/{created['id']}", {"name": "Autumn"})
        assert (renamed["id"], renamed["name"]) == (created["id"], "Autumn")
        one = before["id"]
        for path in ("/campaign", f"/campaign/{created['id']}", f"/v2/campaign/{one}/contacts", f"/call?campaignId={one}"):
            async with user.http.get(f"{stack.api_url}{path}") as response:
                assert (response.status, response.headers.get("Retry-After")) == (503, "1"), path
        _overwrite(file, whole)
        await stack.start("projector")
        assert await eventually(partial(_names, user), lambda names: len(names) == 2, 30) == ["Autumn", "Spring"]


async def test_without_the_postgresql_server_writes_go_on_for_known_keys_and_reads_say_503(start_stack: _Start, tmp_path: Path) -> None:
    later = {"schedulePlan": {"earliestAt": "2035-01-01T09:00:00Z"}}
    with running_postgres(tmp_path / "postgres") as server:
        stack = await start_stack(DATABASE_URL=fresh_database(server), API_READ_MODEL_PATIENCE_SECONDS="0.5")
        revoked, unseen = await stack.create_key("acme"), await stack.create_key("acme")
        async with user_of(stack) as user:
            before = await user.call("POST", "/campaign", campaign(2, **later), 201)
            await _revoked_and_known_so(stack, user.http, revoked)
            await asyncio.to_thread(stop_postgres, server)
            stack.kill("projector")
            created = await user.call("POST", "/campaign", campaign(3, name="Summer", **later), 201)
            assert (created["status"], created["callsCounterScheduled"], len(created["calls"])) == ("scheduled", 3, 3)
            keyed = {"json": campaign(1, name="Winter", **later), "headers": {"Idempotency-Key": "winter"}}
            answers = [await _post(user.http, stack, **keyed) for _ in range(2)]
            assert [status for status, _ in answers] == [201, 201]
            assert answers[0] == answers[1]
            assert (await _post(user.http, stack, json=campaign(2, name="Other"), headers=keyed["headers"]))[0] == 400
            assert (await user.call("PATCH", f"/campaign/{created['id']}", {"name": "Autumn"}))["name"] == "Autumn"
            for path in ("/campaign", f"/campaign/{before['id']}", f"/v2/campaign/{created['id']}"):
                async with user.http.get(f"{stack.api_url}{path}") as response:
                    assert (response.status, response.headers.get("Retry-After")) == (503, "1"), path
            for key, status in ((unseen, 503), (revoked, 401)):
                refused = await _post(user.http, stack, json=campaign(1), headers={"Authorization": f"Bearer {key}"})
                assert refused[0] == status
            await asyncio.to_thread(start_postgres_again, server)
            await stack.start("projector")
            assert await eventually(partial(_names, user), lambda names: len(names) == 3, 30) == ["Winter", "Autumn", "Spring"]
            assert (await _post(user.http, stack, **keyed)) == answers[0]
            assert (await _post(user.http, stack, json=campaign(1), headers={"Authorization": f"Bearer {unseen}"}))[0] == 201


async def _names(user: User) -> list[str]:
    """Of the campaigns that are listed; none while reads are refused."""
    try:
        return [found["name"] for found in (await user.call("GET", "/campaign"))["results"]]
    except AssertionError:
        return []


async def _revoked_and_known_so(stack: RunningStack, http: aiohttp.ClientSession, key: str) -> None:
    """The API has seen that the key was good, and then that it was revoked by another process."""

    async def status() -> int:
        async with http.get(f"{stack.api_url}/campaign", headers={"Authorization": f"Bearer {key}"}) as response:
            return response.status

    assert await status() == 200
    environment = os.environ | next(iter(stack.children.values())).environment

    def keys(*arguments: str) -> str:
        command = [sys.executable, "-m", "services.api", "keys", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    listed = await asyncio.to_thread(keys, "list")
    (key_id,) = (line.split("\t")[0] for line in listed.splitlines() if line.split("\t")[3] == f"{key[:11]}...")
    await asyncio.to_thread(keys, "revoke", key_id)
    await eventually(status, lambda status: status == 401)


async def _post(http: aiohttp.ClientSession, stack: RunningStack, **options: Any) -> tuple[int, Any]:
    async with http.post(f"{stack.api_url}/campaign", **options) as response:
        return response.status, await response.json()


async def _folded_into_one_file(file: Path) -> None:
    """What stands in SQLite's log beside the file is moved into it."""

    async def is_moved() -> bool:
        with closing(sqlite3.connect(file)) as database:
            (is_busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not is_busy

    await eventually(is_moved)


def _overwrite(file: Path, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.write(content)


class _Provider:
    """A provider that takes calls and reports their end at once; or hangs."""

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()
        self.attempts: set[int] = set()
        self.hangs = False
        self._reporting: set[asyncio.Task[None]] = set()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.json()
        overrides = body["assistantOverrides"]
        self.posts[overrides["metadata"]["callId"]] += 1
        self.attempts.add(overrides["metadata"]["attempt"])
        if self.hangs:
            await asyncio.sleep(60)
        self._reporting.add(asyncio.create_task(self._report(overrides["server"]["url"])))
        return web.json_response({"id": f"p-{len(self._reporting)}"}, status=201)

    async def _report(self, url: str) -> None:
        await asyncio.sleep(0.1)
        message = {"type": "end-of-call-report", "endedReason": "customer-ended-call", "call": {"id": "p"}}
        async with aiohttp.ClientSession() as http, http.post(url, json={"message": message}) as response:
            assert response.status == 200

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/call", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()


async def _is_left_alone(http: aiohttp.ClientSession, stack: RunningStack) -> bool:
    async with http.get(f"http://127.0.0.1:{stack.settings.dialer_port}/metrics") as response:
        return 'ringfold_dialer_provider_left_alone{provider="simulator"} 1.0' in await response.text()


async def test_calls_of_a_dead_provider_wait_with_their_attempts_and_go_on_when_it_is_back(start_stack: _Start) -> None:
    provider, port = _Provider(), free_port()
    stack = await start_stack(PROVIDER_URL=f"http://127.0.0.1:{port}", PROVIDER_CONNECT_SECONDS="0.5")
    async with user_of(stack) as user:
        created = await user.create(30, maxConcurrency=10)
        await eventually(lambda: _is_left_alone(user.http, stack))
        await asyncio.sleep(2)
        waiting = await user.get(created["id"])
        assert (waiting["callsCounterQueued"], waiting["callsCounterEnded"]) == (10, 0)
        async with provider.listening(port):
            ended = await user.until_ended(created["id"], 30)
            assert {call["endedReason"] for call in ended["calls"].values()} == {"customer-ended-call"}
            assert not await _is_left_alone(user.http, stack)
        assert provider.posts == dict.fromkeys(ended["calls"], 1)
        assert provider.attempts == {1}


async def test_a_provider_that_hangs_is_left_alone_after_a_few_calls_and_gets_the_others_when_it_answers_again(start_stack: _Start) -> None:
    provider, port = _Provider(), free_port()
    stack = await start_stack(PROVIDER_URL=f"http://127.0.0.1:{port}", PROVIDER_TIMEOUT_SECONDS="1", PROVIDER_CALLS_PER_SECOND="5")
    provider.hangs = True
    async with user_of(stack) as user, provider.listening(port):
        created = await user.create(40, maxConcurrency=40)
        await eventually(lambda: _is_left_alone(user.http, stack), seconds=30)
        asked = len(provider.posts)
        await asyncio.sleep(3)
        assert len(provider.posts) - asked <= 5
        unknown = set(provider.posts)
        assert len(unknown) < 20
        provider.hangs = False

        async def untouched() -> list[str]:
            calls = (await user.get(created["id"]))["calls"]
            return [call["status"] for call_id, call in calls.items() if call_id not in unknown]

        await eventually(untouched, lambda statuses: set(statuses) == {"ended"}, 60)
        assert not await _is_left_alone(user.http, stack)
        assert set(provider.posts.values()) == {1}
        assert provider.attempts == {1}
