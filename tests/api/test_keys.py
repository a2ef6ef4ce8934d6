"""API keys: 256 random bits, shown once, kept as hashes, refused when expired or revoked."""

import asyncio
import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from projections.store.engine import open_database
from services.api.auth import Authenticator
from services.api.errors import UnauthorizedError
from services.api.keys import ApiKey, KeyStore
from tests.api.service import Service


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
    authenticator, sought = Authenticator(service.keys, service.clock), []
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
    authenticator, found, go_on = Authenticator(service.keys, service.clock), asyncio.Event(), asyncio.Event()
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
    key_id, org, name, prefix, _, state = line.split("\t")
    assert (org, name, prefix, state) == ("acme", "ci", f"{secret[:11]}...", "valid")
    assert keys("revoke", key_id).returncode == 0
    assert keys("list").stdout.endswith("\trevoked\n")
    assert keys("create", "--org", "two words", "--name", "ci").returncode == 2
