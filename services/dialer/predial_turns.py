"""Owns how many questions are out at once to customers' servers, and that those which are silent leave room for the others."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_LEAVES_FREE = 5

Server = tuple[str, str]
"""An org and a server of its own."""


class PredialTurns:
    """At most `most` questions at once; those out to a server and those of its org are together fewer than a fifth of what is free.

    So one server has at most an eleventh of all, an org a sixth, and each that comes a tenth of what the others left: of a thousand,
    fifty servers that never answer leave some to the next one. Those who wait for the same server go on in their order; of the servers
    the one with the least goes first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._out = 0
        self._out_to: Counter[Server] = Counter()
        self._out_of: Counter[str] = Counter()
        self._waiting: dict[Server, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, org_id: str, server_name: str) -> AsyncIterator[None]:
        """To have one question out. Waits as long as that takes: the time for an answer begins within."""
        server = (org_id, server_name)
        await self._begin(server)
        try:
            yield
        finally:
            self._end(server)

    async def _begin(self, server: Server) -> None:
        if server not in self._waiting and self._has_room(server):
            self._count(server, 1)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(server, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waits_no_more(server, turn)
            else:
                self._end(server)
            raise

    def _end(self, server: Server) -> None:
        self._count(server, -1)
        while self._waiting and self._has_room(least := min(self._waiting, key=self._share)):
            turn = self._waiting[least][0]
            self._waits_no_more(least, turn)
            # one that was cancelled goes on only to say so
            if not turn.done():
                self._count(least, 1)
                turn.set_result(None)

    def _waits_no_more(self, server: Server, turn: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(server, deque())
        if turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[server]

    def _count(self, server: Server, by: int) -> None:
        self._out += by
        self._out_to[server] += by
        self._out_of[server[0]] += by
        if not self._out_to[server]:
            del self._out_to[server]
        if not self._out_of[server[0]]:
            del self._out_of[server[0]]

    def _has_room(self, server: Server) -> bool:
        return self._share(server) * _LEAVES_FREE < self._most - self._out

    def _share(self, server: Server) -> int:
        return self._out_to[server] + self._out_of[server[0]]
