"""Owns what the stack itself asks of the API: whether it is there, a key that it takes, and campaigns."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from infra.stack.errors import StackError
from infra.stack.plan import environment_of
from services.runtime.settings import Settings

ORG = "demo"
_TIMEOUT = aiohttp.ClientTimeout(total=60)


def api_url(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.api_port}"


async def api_is_ready(settings: Settings) -> bool:
    """Whether an API of ours is up and can do its work."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
            http.get(f"{api_url(settings)}/health/ready") as got,
        ):
            return got.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def demo_key(settings: Settings) -> str:
    """A key of the demo org that the API takes: the one kept in `data_dir`, or a new one where that is none (any more)."""
    kept = settings.data_dir / "demo-key"
    if kept.exists() and await _is_taken(settings, key := kept.read_text().strip()):
        return key
    key = await create_key(settings, ORG, "made by make run", environment_of(settings))
    if not await _is_taken(settings, key):
        raise StackError(
            f"the API at {api_url(settings)} keeps its keys elsewhere: set DATA_DIR to where it runs, or API_PORT to another port"
        )
    _keep_secret(kept, key)
    return key


async def _is_taken(settings: Settings, key: str) -> bool:
    async with ApiClient(settings, key) as api:
        return await api.takes_the_key()


async def create_key(settings: Settings, org: str, name: str, environment: Mapping[str, str]) -> str:
    """A new key by the api's own command, which prints it once, as the last word."""
    command = (sys.executable, "-m", "services.api", "keys", "create", "--org", org, "--name", name)
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    words = out.decode().split()
    if process.returncode != 0 or not words:
        said = (err.decode().strip().splitlines() or ["it said nothing"])[-1]
        raise StackError(f"no key could be made: {said[:300]}")
    return words[-1]


def _keep_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")


class ApiClient:
    """The three requests that the stack needs, under one key; an async context."""

    def __init__(self, settings: Settings, key: str) -> None:
        self._http = aiohttp.ClientSession(api_url(settings), headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT)

    async def __aenter__(self) -> "ApiClient":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.close()

    async def takes_the_key(self) -> bool:
        """Whether the API answers under the key; raises `StackError` where it can not answer."""
        async with self._http.get("/campaign", params={"limit": "1"}) as response:
            if response.status != 401:
                await _answer(response)
            return response.status != 401

    async def create_campaign(self, body: dict[str, Any]) -> dict[str, Any]:
        """The campaign; raises `StackError` with what the API said."""
        async with self._http.post("/campaign", json=body) as response:
            return await _answer(response)

    async def campaign(self, campaign_id: str) -> dict[str, Any]:
        """The campaign as it stands; raises `StackError` with what the API said."""
        async with self._http.get(f"/campaign/{campaign_id}") as response:
            return await _answer(response)


async def _answer(response: aiohttp.ClientResponse) -> dict[str, Any]:
    if response.status not in (200, 201):
        raise StackError(f"the API answered {response.status}: {(await response.text())[:300]}")
    answer: dict[str, Any] = await response.json()
    return answer
