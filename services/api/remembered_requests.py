"""Owns which command a request became, until it was answered: in the API's own store, and in this process while that is away."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.topics import COMMANDS_KEPT
from projections.store.engine import DATABASE_FAULTS, writing
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.own_store import requests
from services.api.request_identity import KEY_REUSED, RequestIdentity
from services.runtime.clock import Clock

UNANSWERED_SECONDS = 600.0
KEYED_SECONDS = COMMANDS_KEPT.total_seconds()
"""The engine remembers the ids of handled commands for a little longer."""
_MOST_NOTED = 20_000
PATIENCE_SECONDS = 3.0
"""How long a PostgreSQL may be silent, and an SQLite be locked by another process, before it is away."""
_PASSED_OVER_SECONDS = 5.0
"""For how long a store that was away is not asked again, so that not each request waits for it."""

_log = logging.getLogger(__name__)


class _Noted(NamedTuple):
    """`is_stored`: whether the store knew it too, which is then the one to say that it was answered since."""

    command_id: str
    forget_at: float
    is_stored: bool
    is_answered: bool = False


@dataclass(slots=True)
class RememberedRequests:
    """`window_seconds`: for how long an answered request is still joined by an equal one.

    What this process was asked it notes in memory too. That is all there is while the store is away: enough for a repeat that comes to
    this process, while one with an `Idempotency-Key` is known to the engine, wherever it comes. Let `database` wait for SQLite's lock
    `PATIENCE_SECONDS` at most.
    """

    database: AsyncEngine
    clock: Clock
    draw_id: Callable[[], str]
    window_seconds: float
    _noted: "OrderedDict[str, _Noted]" = field(default_factory=OrderedDict)
    _answered: "OrderedDict[str, float]" = field(default_factory=OrderedDict)
    """Commands whose requests were answered, and until when the store, which may not have been told, may say otherwise."""
    _sqlite_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _passed_over_until: float = 0.0

    async def command_of(self, identity: RequestIdentity, *, must_be_stored: bool = False) -> str:
        """The id of the command that the request is, or becomes.

        Raises `InvalidRequestError` where its key was used for another request. Where the store is away, one that has no key and
        `must_be_stored` raises `UnavailableError`.
        """
        now = self.clock.now().timestamp()
        if identity.command_id is not None:
            return await self._remember(identity, identity.command_id, now) or identity.command_id
        noted = self._noted.get(identity.name)
        if noted is not None and noted.forget_at <= now:
            noted = None
        proposed = self.draw_id() if noted is None or noted.is_stored else noted.command_id
        stored = await self._remember(identity, proposed, now, must_be_stored=must_be_stored)
        command_id = stored or (proposed if noted is None else noted.command_id)
        if noted is None or noted.command_id != command_id:
            noted = _Noted(command_id, now + UNANSWERED_SECONDS, is_stored=False)
        self._note(identity.name, noted._replace(is_stored=stored is not None or noted.is_stored), now)
        return command_id

    async def forget(self, name: str, command_id: str) -> None:
        """The request was answered: an equal one is a new one at once, or when the window is over."""
        own = (requests.c.request == name, requests.c.command_id == command_id)
        now = self.clock.now().timestamp()
        noted = self._noted.pop(name, None)
        if self.window_seconds == 0:
            self._answered[command_id] = now + UNANSWERED_SECONDS
            while len(self._answered) > _MOST_NOTED or next(iter(self._answered.values())) <= now:
                self._answered.popitem(last=False)
        elif noted is not None:
            answered = noted if noted.is_answered else noted._replace(forget_at=now + self.window_seconds, is_answered=True)
            self._note(name, answered, now)
        try:
            async with self._writing() as connection:
                if self.window_seconds == 0:
                    await connection.execute(delete(requests).where(*own))
                else:
                    change = requests.update().where(*own, requests.c.answered_at.is_(None))
                    await connection.execute(change.values(answered_at=now, forget_at=now + self.window_seconds))
        except DATABASE_FAULTS as error:
            # an equal request at another process may then join within ten minutes, though this one was answered
            _log.warning("an answered request stays remembered: %s", type(error).__name__, extra={"action": "forget-request"})
        else:
            self._answered.pop(command_id, None)

    def _note(self, name: str, noted: _Noted, now: float) -> None:
        self._noted[name] = noted
        while self._noted and (len(self._noted) > _MOST_NOTED or next(iter(self._noted.values())).forget_at <= now):
            self._noted.popitem(last=False)

    async def _remember(self, identity: RequestIdentity, proposed: str, now: float, *, must_be_stored: bool = False) -> str | None:
        """The id under which the store has the request, which is `proposed` where it had none; None where it is away."""
        try:
            async with self._writing() as connection:
                return await self._stored(connection, identity, proposed, now)
        except DATABASE_FAULTS as error:
            if must_be_stored:
                raise UnavailableError("the request can not be remembered now; nothing was accepted") from error
            _log.warning("a request is remembered by this process alone: %s", type(error).__name__, extra={"action": "remember-request"})
            return None

    async def _stored(self, connection: AsyncConnection, identity: RequestIdentity, proposed: str, now: float) -> str:
        await connection.execute(delete(requests).where(requests.c.forget_at <= now))
        query = select(requests.c.command_id, requests.c.digest).where(requests.c.request == identity.name)
        known = (await connection.execute(query)).first()
        if known is not None and known.command_id in self._answered:
            await connection.execute(delete(requests).where(requests.c.request == identity.name))
            known = None
        if known is None:
            fresh = insert(requests).values(
                request=identity.name,
                command_id=proposed,
                digest=identity.digest,
                asked_at=now,
                forget_at=now + (UNANSWERED_SECONDS if identity.command_id is None else KEYED_SECONDS),
            )
            # another process may have been first
            await connection.execute(fresh.on_conflict_do_nothing())
            known = (await connection.execute(query)).one()
        if known.digest != identity.digest:
            raise InvalidRequestError(KEY_REUSED)
        command_id: str = known.command_id
        return command_id

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """SQLite has one writer, and those of this process had better queue than sleep on its lock.

        Raises `DATABASE_FAULTS`, at once where the store was away a moment ago.
        """
        is_sqlite = self.database.dialect.name == "sqlite"
        async with AsyncExitStack() as stack:
            if is_sqlite:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await stack.enter_async_context(self._sqlite_turn)
            if self.clock.monotonic() < self._passed_over_until:
                raise TimeoutError("the store was away a moment ago")
            try:
                # what runs on SQLite ends by itself, and must not be given up while its thread goes on
                async with nullcontext() if is_sqlite else asyncio.timeout(PATIENCE_SECONDS), writing(self.database) as connection:
                    yield connection
            except DATABASE_FAULTS:
                self._passed_over_until = self.clock.monotonic() + _PASSED_OVER_SECONDS
                raise
