"""Owns which uploads are taken at once: one org never has all places, and one that gets free goes to who has the fewest."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.api.errors import UnavailableError


@dataclass(slots=True)
class UploadPlaces:
    """Of `at_once` places one stays for another org, unless there is only one. Who waits `wait_seconds` is refused."""

    at_once: int
    wait_seconds: float
    _taken: Counter[str] = field(default_factory=Counter)
    _waiting: dict[str, deque[asyncio.Future[None]]] = field(default_factory=dict)
    """By org; those that were served come behind those that still are to be."""

    @asynccontextmanager
    async def taken(self, org_id: str) -> AsyncIterator[None]:
        """Holds a place; raises `UnavailableError` where none got free in time."""
        await self._take(org_id)
        try:
            yield
        finally:
            self._give_back(org_id)

    async def _take(self, org_id: str) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(org_id, deque()).append(place)
        self._serve()
        try:
            async with asyncio.timeout(self.wait_seconds):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._give_back(org_id)
            else:
                self._leave(org_id, place)
            if isinstance(error, TimeoutError):
                raise UnavailableError("other uploads are under way; nothing was accepted") from error
            raise

    def _serve(self) -> None:
        while self._taken.total() < self.at_once and (org_id := self._next()) is not None:
            queue = self._waiting.pop(org_id)
            place = queue.popleft()
            if queue:
                self._waiting[org_id] = queue
            if not place.done():
                self._taken[org_id] += 1
                place.set_result(None)

    def _next(self) -> str | None:
        """Of the orgs that wait and may have another place, with the fewest, the one whose turn is longest ago."""
        most = max(1, self.at_once - 1)
        return min((org_id for org_id in self._waiting if self._taken[org_id] < most), key=self._taken.__getitem__, default=None)

    def _leave(self, org_id: str, place: asyncio.Future[None]) -> None:
        queue = self._waiting.get(org_id, deque())
        if place in queue:
            queue.remove(place)
        if not queue:
            self._waiting.pop(org_id, None)

    def _give_back(self, org_id: str) -> None:
        self._taken[org_id] -= 1
        if not self._taken[org_id]:
            del self._taken[org_id]
        self._serve()
