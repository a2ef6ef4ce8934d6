"""API keys: 256 random bits, shown once, kept as hashes, refused when expired or revoked."""

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

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


async def test_a_revoked_key_is_refused_within_five_seconds(service: Service) -> None:
    key, secret = await service.keys.create("org-1", "ci", service.clock.now())
    headers = {"Authorization": f"Bearer {secret}"}
    await service.answer("GET", "/campaign", headers=headers)
    assert await service.keys.revoke(key.id, service.clock.now())
    assert not await service.keys.revoke("unknown", service.clock.now())
    service.clock.elapsed += 5
    await service.answer("GET", "/campaign", status=401, headers=headers)


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
