"""Owns what users are shown while a stack works: over and over its lists and single campaigns, compared with what was shown before."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from services.runtime.cancelling import cancel_all
from tests.chaos.asking import HttpUser
from tests.chaos.promises import ORGS, Promises

_LOOK_SECONDS = 0.4
_STATUS_RANK = {"scheduled": 0, "in-progress": 1, "ended": 2, "cancelled": 2, "archived": 3}
_COUNTERS = {
    "callsCounterScheduled": ("scheduled",),
    "callsCounterQueued": ("queued",),
    "callsCounterInProgress": ("ringing", "in-progress", "forwarding"),
    "callsCounterEnded": ("ended",),
}


@dataclass(slots=True)
class Watch:
    """What breaks a promise goes to `promises.faults`."""

    users: Mapping[str, HttpUser]
    promises: Promises
    _seen: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    _task: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_looking())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """One that ends by itself has seen an answer that it can not read."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.promises.faults.append(f"I5: an answer can not be read: {error!r}")

    async def stop(self) -> None:
        if self._task is not None:
            await cancel_all([self._task])

    def forget_what_was_shown(self) -> None:
        """After an old backup was restored, answers may for a while be older than those before."""
        self._seen.clear()

    async def _keep_looking(self) -> None:
        turn = 0
        while True:
            for org, user in self.users.items():
                with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                    await self._look(org, user, turn)
            turn += 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, org: str, user: HttpUser, turn: int) -> None:
        """The list, and of it the campaign whose turn it is."""
        listed = await self._read(org, user, "/campaign?limit=50")
        campaigns = listed["results"] if listed is not None else []
        for campaign in campaigns:
            self._compare(campaign)
        one = await self._read(org, user, "/campaign/" + campaigns[turn % len(campaigns)]["id"]) if campaigns else None
        if one is not None:
            self._compare(one)
            self.promises.faults += miscounted(one)

    async def _read(self, org: str, user: HttpUser, path: str) -> dict[str, Any] | None:
        status, answer = await user.get(path)
        if status == 500:
            self.promises.faults.append(f"degradation: GET {path} was answered by 500: {answer}")
        if any(f"{other}-" in str(answer) for other in ORGS if other != org):
            self.promises.faults.append(f"I7: {org} was shown something of another org")
        return answer if status == 200 else None

    def _compare(self, campaign: dict[str, Any]) -> None:
        now = (_STATUS_RANK[campaign["status"]], campaign["updatedAt"], campaign["callsCounterEnded"])
        before = self._seen.get(campaign["id"], now)
        if any(new < old for new, old in zip(now, before, strict=True)):
            self.promises.faults.append(f"I6: campaign {campaign['id']} was shown as {before} and then as {now}")
        self._seen[campaign["id"]] = now


def miscounted(campaign: dict[str, Any]) -> list[str]:
    """Counters of an answer of V1 that are not what a count of its own calls gives."""
    counted = Counter(call["status"] for call in campaign["calls"].values())
    wanted = {name: sum(counted[status] for status in statuses) for name, statuses in _COUNTERS.items()}
    shown = {name: campaign[name] for name in wanted}
    return [] if shown == wanted else [f"I4: campaign {campaign['id']} was shown with {shown}, its calls say {wanted}"]
