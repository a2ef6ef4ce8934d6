"""API keys: 256 random bits, shown once, kept as hashes, refused when expired or revoked, with scopes, and rotated without a gap."""

import asyncio
import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from events.instants import iso
from projections.store.engine import open_database, writing
from services.api.auth import Authenticator
from services.api.errors import UnauthorizedError
from services.api.keys import ApiKey, ExpiryNeededError, KeyNotValidError, KeyStore
from services.api.own_store import metadata
from services.runtime.own_store import ensure_tables
from tests.api.service import Service, draft


def _stored(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.glob("api.sqlite*"))


async def test_a_key_is_kept_as_its_hash_only(service: Service, tmp_path: Path) -> None:
    key, secret = await service.keys.create("org-1", "ci", service.clock.now())
    assert secret.startswith("rf_")
    assert key.prefix == secret[:11]
    stored = _stored(tmp_path)
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in stored
    assert secret.encode() not in stored


async def test_an_expired_key_is_refused(service: Service) -> None:
    now = service.clock.now()
    _, secret = await service.keys.create("org-1", "ci", now, now + timedelta(hours=1))
    headers = {"Authorization": f"bearer {secret}"}
    await service.answer("GET", "/campaign", headers=headers)
    service.log.world.now += timedelta(hours=1)
    await service.answer("GET", "/campaign", status=401, headers=headers)


async def test_a_key_revoked_by_this_process_is_refused_at_once(service: Service) -> None:
    key, secret = await service.keys.create("org-1", "ci", service.clock.now())
    headers = {"Authorization": f"Bearer {secret}"}
    await service.answer("GET", "/campaign", headers=headers)
    assert await service.keys.revoke(key.id, service.clock.now())
    assert not await service.keys.revoke("unknown", service.clock.now())
    await service.answer("GET", "/campaign", status=401, headers=headers)


async def test_a_key_revoked_by_another_process_is_refused_within_a_second(service: Service, tmp_path: Path) -> None:
    key, secret = await service.keys.create("org-1", "ci", service.clock.now())
    headers = {"Authorization": f"Bearer {secret}"}
    await service.answer("GET", "/campaign", headers=headers)
    database = open_database(f"sqlite:///{tmp_path / 'api.sqlite'}")
    assert await KeyStore(database, lambda: "").revoke(key.id, service.clock.now())
    await database.dispose()
    service.clock.elapsed += 1
    await service.answer("GET", "/campaign", status=401, headers=headers)


async def test_a_key_is_looked_up_once_a_second_however_many_ask(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = await service.keys.create("org-1", "ci", service.clock.now())
    authenticator, sought = Authenticator(service.keys, service.clock, 300), []
    find = service.keys.find

    async def counted(secret: str) -> ApiKey | None:
        sought.append(secret)
        return await find(secret)

    monkeypatch.setattr(service.keys, "find", counted)
    for elapsed, looks in ((0.0, 1), (0.9, 1), (0.2, 2)):
        service.clock.elapsed += elapsed
        keys = await asyncio.gather(*(authenticator.key_of(f"Bearer {secret}") for _ in range(5)))
        assert {key.org_id for key in keys} == {"org-1"}
        assert len(sought) == looks


async def test_who_asks_after_a_revocation_never_gets_what_was_found_before_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret = await service.keys.create("org-1", "ci", service.clock.now())
    authenticator, found, go_on = Authenticator(service.keys, service.clock, 300), asyncio.Event(), asyncio.Event()
    find = service.keys.find

    async def slow(secret: str) -> ApiKey | None:
        record = await find(secret)
        found.set()
        await go_on.wait()
        return record

    monkeypatch.setattr(service.keys, "find", slow)
    early = asyncio.create_task(authenticator.key_of(f"Bearer {secret}"))
    await found.wait()
    await service.keys.revoke(key.id, service.clock.now())
    late = asyncio.create_task(authenticator.key_of(f"Bearer {secret}"))
    await asyncio.sleep(0)
    go_on.set()
    await early
    with pytest.raises(UnauthorizedError):
        await late


async def test_a_key_does_only_what_its_scopes_say(service: Service) -> None:
    now = service.clock.now()
    _, reader = await service.keys.create("org-1", "board", now, scopes=["read"])
    _, writer = await service.keys.create("org-1", "crm", now, scopes=["write"])
    reads, writes = {"Authorization": f"Bearer {reader}"}, {"Authorization": f"Bearer {writer}"}
    await service.answer("GET", "/campaign", headers=reads)
    refused = await service.ask("POST", "/campaign", draft(), headers=reads)
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (403, 'Bearer error="insufficient_scope", scope="write"')
    assert await refused.json() == {"message": "this key may not write: its scope is `read`", "error": "Forbidden", "statusCode": 403}
    assert service.log.appended == []
    created = await service.answer("POST", "/campaign", draft(), status=201, headers=writes)
    await service.answer("GET", f"/campaign/{created['id']}", status=403, headers=writes)
    for method in ("PATCH", "DELETE"):
        await service.answer(method, f"/campaign/{created['id']}", {}, status=403, headers=reads)


async def test_a_rotated_key_is_taken_until_its_grace_is_over(service: Service) -> None:
    now = service.clock.now()
    old, old_secret = await service.keys.create("org-1", "ci", now, now + timedelta(days=30), ["read"])
    service.log.world.now += timedelta(days=10)
    with pytest.raises(ExpiryNeededError):
        await service.keys.rotate(old.id, service.clock.now(), timedelta(hours=1))
    new, new_secret = await service.keys.rotate(old.id, service.clock.now(), timedelta(hours=1), now + timedelta(days=40))
    assert (new.org_id, new.name, new.scopes, new.expires_at) == ("org-1", "ci", "read", iso(now + timedelta(days=40)))
    before, after = {"Authorization": f"Bearer {old_secret}"}, {"Authorization": f"Bearer {new_secret}"}
    await service.answer("GET", "/campaign", headers=before)
    await service.answer("GET", "/campaign", headers=after)
    service.log.world.now += timedelta(hours=1)
    await service.answer("GET", "/campaign", status=401, headers=before)
    await service.answer("GET", "/campaign", headers=after)


async def test_a_grace_never_lets_a_key_live_longer(service: Service) -> None:
    now = service.clock.now()
    old, _ = await service.keys.create("org-1", "ci", now, now + timedelta(hours=1))
    await service.keys.rotate(old.id, now, timedelta(days=2), now + timedelta(days=3))
    assert {key.id: key.expires_at for key in await service.keys.all()}[old.id] == old.expires_at


async def test_a_key_that_is_not_valid_can_not_be_rotated(service: Service) -> None:
    now = service.clock.now()
    old, _ = await service.keys.create("org-1", "ci", now)
    await service.keys.revoke(old.id, now)
    for key_id in (old.id, "unknown"):
        with pytest.raises(KeyNotValidError):
            await service.keys.rotate(key_id, now, timedelta(0))


async def test_keys_of_before_there_were_scopes_may_do_all(database_url: str) -> None:
    database = open_database(database_url)
    columns = "id, hash, prefix, org_id, name, created_at, expires_at, revoked_at"
    async with writing(database) as connection:
        await connection.execute(text("CREATE TABLE api_keys (" + columns.replace(",", " text,") + " text)"))
        await connection.execute(
            text(f"INSERT INTO api_keys ({columns}) VALUES ('k', :hash, 'rf_x', 'org-1', 'ci', '2030', NULL, NULL)"),  # noqa: S608
            {"hash": hashlib.sha256(b"rf_x").hexdigest()},
        )
    for _ in range(2):
        await ensure_tables(database, metadata)
    key = await KeyStore(database, lambda: "").find("rf_x")
    assert key is not None
    assert key.allows("read")
    assert key.allows("write")
    await database.dispose()


def test_keys_are_made_listed_and_revoked_at_the_command_line(tmp_path: Path) -> None:
    def keys(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"DATA_DIR": str(tmp_path), "DATABASE_URL": ""}
        return subprocess.run(
            [sys.executable, "-m", "services.api", "keys", *arguments], env=environment, capture_output=True, text=True, check=False
        )

    made = keys("create", "--org", "acme", "--name", "ci")
    assert made.returncode == 0
    secret = made.stdout.strip()
    assert len(secret) == len("rf_") + 43
    (line,) = keys("list").stdout.splitlines()
    key_id, org, name, prefix, _, expiry, scopes, state = line.split("\t")
    assert (org, name, prefix, expiry, scopes, state) == ("acme", "ci", f"{secret[:11]}...", "-", "read,write", "valid")
    assert keys("rotate", key_id, "--grace", "0", "--expires-in", "90d").returncode == 0
    assert keys("list").stdout.splitlines()[0].endswith("\texpired")
    assert keys("rotate", key_id).returncode == 1
    assert keys("rotate", keys("list").stdout.splitlines()[1].split("\t")[0]).returncode == 2
    assert keys("create", "--org", "acme", "--name", "board", "--scope", "read", "--expires-in", "12h").returncode == 0
    assert keys("list").stdout.endswith("\tread\tvalid\n")
    assert keys("create", "--org", "acme", "--name", "ci", "--expires-in", "soon").returncode == 2
    assert keys("revoke", key_id).returncode == 0
    assert keys("list").stdout.splitlines()[0].endswith("\trevoked")
    assert keys("create", "--org", "two words", "--name", "ci").returncode == 2
