"""What goes on while the API's own store is away: known keys stay good for a while, and requests are carried out once."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from projections.store.engine import open_database
from services.api import auth, remembered_requests
from services.api.auth import Authenticator
from services.api.bootstrap import own_store
from services.api.errors import UnauthorizedError, UnavailableError
from services.api.keys import ApiKey
from services.api.settings import ApiSettings
from tests.api.service import Service, draft, running_service
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.silence import silent_server

CSV = "number\n+14155550101\n"


def _take_keys_away(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(secret: str) -> ApiKey | None:
        raise ConnectionRefusedError

    monkeypatch.setattr(service.keys, "find", away)


@asynccontextmanager
async def _without_own_store(service: Service, port: int | None = None) -> AsyncIterator[None]:
    """The store of remembered requests is behind a port, at which nobody listens unless one is given; then it is asked again."""
    remembered = service.context.repeats.remembered
    there, remembered.database = remembered.database, open_database(f"postgresql://nobody@127.0.0.1:{port or free_port()}/none")
    try:
        yield
    finally:
        await remembered.database.dispose()
        remembered.database = there
        service.clock.elapsed += remembered_requests._PASSED_OVER_SECONDS


class TestKeys:
    async def test_a_key_that_was_found_lately_stays_good_until_the_bound(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        _, secret = await service.keys.create("org-1", "ci", service.clock.now())
        authenticator = Authenticator(service.keys, service.clock, 300)
        await authenticator.key_of(f"Bearer {secret}")
        find = service.keys.find
        _take_keys_away(service, monkeypatch)
        for elapsed in (2.0, 200.0, 97.9):
            service.clock.elapsed += elapsed
            assert (await authenticator.key_of(f"Bearer {secret}")).org_id == "org-1"
        service.clock.elapsed += 0.2
        with pytest.raises(UnavailableError):
            await authenticator.key_of(f"Bearer {secret}")
        monkeypatch.setattr(service.keys, "find", find)
        assert (await authenticator.key_of(f"Bearer {secret}")).org_id == "org-1"

    async def test_a_key_that_was_never_found_is_503_and_after_none_is_allowed_any_is(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, secret = await service.keys.create("org-1", "ci", service.clock.now())
        none_kept = Authenticator(service.keys, service.clock, 0)
        await none_kept.key_of(f"Bearer {secret}")
        _take_keys_away(service, monkeypatch)
        service.clock.elapsed += 1
        with pytest.raises(UnavailableError):
            await none_kept.key_of(f"Bearer {secret}")
        unseen = await service.ask("GET", "/campaign", headers={"Authorization": f"Bearer {secret}"})
        assert (unseen.status, unseen.headers["Retry-After"]) == (503, "1")

    async def test_a_key_that_expired_or_was_seen_to_be_revoked_is_not_revived(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = service.clock.now()
        key, revoked = await service.keys.create("org-1", "ci", now)
        _, expiring = await service.keys.create("org-1", "ci", now, now + timedelta(minutes=1))
        authenticator = Authenticator(service.keys, service.clock, 300)
        await service.keys.revoke(key.id, now)
        with pytest.raises(UnauthorizedError):
            await authenticator.key_of(f"Bearer {revoked}")
        await authenticator.key_of(f"Bearer {expiring}")
        _take_keys_away(service, monkeypatch)
        service.clock.elapsed += 60
        service.log.world.now += timedelta(minutes=1)
        for secret in (revoked, expiring):
            with pytest.raises(UnauthorizedError):
                await authenticator.key_of(f"Bearer {secret}")

    async def test_no_key_stays_good_that_was_found_before_this_process_changed_keys(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, secret = await service.keys.create("org-1", "ci", service.clock.now())
        authenticator = Authenticator(service.keys, service.clock, 300)
        await authenticator.key_of(f"Bearer {secret}")
        await service.keys.revoke(key.id, service.clock.now())
        _take_keys_away(service, monkeypatch)
        with pytest.raises(UnavailableError):
            await authenticator.key_of(f"Bearer {secret}")

    async def test_a_store_that_is_silent_is_waited_for_once(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        _, secret = await service.keys.create("org-1", "ci", service.clock.now())
        authenticator, asked = Authenticator(service.keys, service.clock, 300), []
        await authenticator.key_of(f"Bearer {secret}")

        async def silent(secret: str) -> ApiKey | None:
            asked.append(secret)
            await asyncio.Event().wait()
            return None

        monkeypatch.setattr(service.keys, "find", silent)
        monkeypatch.setattr(auth, "_PATIENCE_SECONDS", 0.05)
        monkeypatch.setattr(auth, "_LOOK_UP_SECONDS", 0.5)
        service.clock.elapsed += 1
        for _ in range(3):
            assert (await authenticator.key_of(f"Bearer {secret}")).org_id == "org-1"
            service.clock.elapsed += 0.1
        assert len(asked) == 1
        service.clock.elapsed += 300
        with pytest.raises(UnavailableError):
            await authenticator.key_of(f"Bearer {secret}")


class TestRequests:
    async def test_two_equal_ones_that_were_answered_are_two_campaigns(self, service: Service) -> None:
        async with _without_own_store(service):
            first, second = await service.create(), await service.create()
        third = await service.create()
        assert len({first["id"], second["id"], third["id"]}) == 3

    async def test_one_that_was_never_answered_is_joined_by_its_repeat_while_the_store_is_away_and_after(self, service: Service) -> None:
        async def appended() -> int:
            return len(service.log.appended)

        service.log.engine_runs = False
        async with _without_own_store(service):
            asked = asyncio.create_task(service.create())
            await eventually(appended, lambda count: count == 1)
            asked.cancel()
            service.log.engine_runs = True
            await service.log.decide()
        campaign = await service.create()
        assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1
        assert (await service.create())["id"] != campaign["id"]

    async def test_one_that_the_store_knows_is_joined_while_the_store_is_away(self, service: Service) -> None:
        await service.create_without_hearing()
        async with _without_own_store(service):
            await service.create()
        assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1

    async def test_a_key_is_one_campaign_and_with_another_body_400(self, service: Service) -> None:
        key = {"Idempotency-Key": "k-1"}
        async with _without_own_store(service):
            first = await service.answer("POST", "/campaign", draft(), status=201, headers=key)
            assert await service.answer("POST", "/campaign", draft(), status=201, headers=key) == first
            await service.answer("POST", "/campaign", draft(name="Other"), status=400, headers=key)
        assert await service.answer("POST", "/campaign", draft(), status=201, headers=key) == first
        assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1

    async def test_an_upload_is_not_begun_unless_its_repeats_are_known_by_a_key(self, service: Service) -> None:
        path = f"/campaign/{(await service.create())['id']}/contacts"
        appended, csv = len(service.log.appended), {"Content-Type": "text/csv"}
        async with _without_own_store(service):
            refused = await service.answer("POST", path, status=503, data=CSV, headers=csv)
            assert refused["message"] == "the request can not be remembered now; nothing was accepted"
            assert len(service.log.appended) == appended
            added = await service.answer("POST", path, status=201, data=CSV, headers=csv | {"Idempotency-Key": "k-1"})
        assert added["contactsAdded"] == 1

    async def test_a_window_counts_from_the_first_answer_as_with_the_store(self, service: Service) -> None:
        service.context.repeats.remembered.window_seconds = 60
        async with _without_own_store(service):
            first = await service.create()
            service.log.world.now += timedelta(seconds=40)
            assert await service.create() == first
            service.log.world.now += timedelta(seconds=30)
            assert (await service.create())["id"] != first["id"]

    async def test_what_is_noted_is_bounded(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remembered_requests, "_MOST_NOTED", 3)
        service.context.repeats.remembered.window_seconds = 60
        async with _without_own_store(service):
            created = [await service.create(name=f"Campaign {number}") for number in range(5)]
            assert len(service.context.repeats.remembered._noted) == 3
            assert await service.create(name="Campaign 4") == created[4]
            service.log.world.now += timedelta(seconds=60)
            await service.create(name="Campaign 5")
            assert len(service.context.repeats.remembered._noted) == 1


async def test_a_store_that_is_silent_holds_a_request_up_for_a_moment_only(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_requests, "PATIENCE_SECONDS", 0.1)
    async with silent_server() as port, _without_own_store(service, port):
        await service.create()
    assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Another process writes to this SQLite, and does not come to an end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def _counting_writes(service: Service) -> Iterator[list[str]]:
    """How often the store was asked for its lock."""
    engine, begun = service.context.repeats.remembered.database.sync_engine, list[str]()

    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            begun.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    yield begun
    event.remove(engine, "before_cursor_execute", count)


async def _until_forgotten(service: Service) -> None:
    """Which a request is only after its answer."""

    async def in_progress() -> int:
        return service.context.in_progress.now

    await eventually(in_progress, lambda count: count == 0)


class TestLockedStore:
    async def test_one_request_waits_for_it_and_the_others_pass_it_over_for_a_while(self, tmp_path: Path) -> None:
        async with running_service(tmp_path, busy_seconds=0.05) as service:
            await service.create()
            await _until_forgotten(service)
            with _locked(tmp_path / "api.sqlite"), _counting_writes(service) as begun:
                await asyncio.gather(*(service.create(name=f"Campaign {number}") for number in range(5)))
                await _until_forgotten(service)
                assert len(begun) == 1
                service.clock.elapsed += remembered_requests._PASSED_OVER_SECONDS
                await service.create()
                assert len(begun) == 2
            service.clock.elapsed += remembered_requests._PASSED_OVER_SECONDS
            with _counting_writes(service) as begun:
                await service.create()
                await _until_forgotten(service)
                assert len(begun) == 2

    async def test_the_api_waits_for_a_lock_no_longer_than_for_a_silent_database(self, tmp_path: Path) -> None:
        settings = ApiSettings(data_dir=tmp_path)
        async with own_store(settings, remembered_requests.PATIENCE_SECONDS) as database, database.connect() as connection:
            assert (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one() == 3_000

    async def test_a_request_that_was_answered_while_the_store_could_not_be_told_is_not_joined_after(self, tmp_path: Path) -> None:
        async with running_service(tmp_path, busy_seconds=0.05) as service:
            await service.create_without_hearing()
            with _locked(tmp_path / "api.sqlite"):
                joined = await service.create()
                assert (await service.answer("GET", "/campaign"))["metadata"]["totalItems"] == 1
            service.clock.elapsed += remembered_requests._PASSED_OVER_SECONDS
            assert (await service.create())["id"] != joined["id"]
