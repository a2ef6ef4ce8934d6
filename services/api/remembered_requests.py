"""Owns which command a request became, until it was answered: in the API's own store, and in this process while that is away."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
_PATIENCE_SECONDS = 3.0
"""How long a PostgreSQL may be silent before it is away. SQLite's own wait for its lock ends by itself."""

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
    this process, while one with an `Idempotency-Key` is known to the engine, wherever it comes.
    """

    database: AsyncEngine
    clock: Clock
    draw_id: Callable[[], str]
    window_seconds: float
    _noted: "OrderedDict[str, _Noted]" = field(default_factory=OrderedDict)
    _being_forgotten: set[str] = field(default_factory=set)
    _sqlite_turn: asyncio.Lock = field(default_factory=asyncio.Lock)

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
            self._being_forgotten.add(command_id)
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
            # an equal request may then join within ten minutes, though this one was answered
            _log.warning("an answered request stays remembered: %s", type(error).__name__, extra={"action": "forget-request"})
        finally:
            self._being_forgotten.discard(command_id)

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
        if known is not None and known.command_id in self._being_forgotten:
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
        """SQLite has one writer, and those of this process had better queue than sleep on its lock. Raises `DATABASE_FAULTS`."""
        is_sqlite = self.database.dialect.name == "sqlite"
        turn: AbstractAsyncContextManager[object] = self._sqlite_turn if is_sqlite else asyncio.timeout(_PATIENCE_SECONDS)
        async with turn, writing(self.database) as connection:
            yield connection
