"""Owns that a repeated request joins the first one (contract, "Repeats by the SDKs"): durably, before anything is appended."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID, uuid5

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.topics import COMMANDS_KEPT
from projections.store.engine import writing
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.own_store import requests
from services.runtime.clock import Clock

UNANSWERED_SECONDS = 600.0
KEYED_SECONDS = COMMANDS_KEPT.total_seconds()
"""As long as the engine remembers the ids of handled commands."""
_NAMESPACE = UUID("d8a3c5be-6a0d-5f0c-9b0e-3a4f7d1c2e55")
MAX_KEY_CHARACTERS = 255
KEY_REUSED = "this Idempotency-Key was used for another request"

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """Which request it is: by the client's `Idempotency-Key` where it sent one, by all that it asks otherwise.

    `command_id` follows from org and key; None where a fresh one is drawn.
    """

    name: str
    digest: str
    command_id: str | None

    @classmethod
    def of(cls, org_id: str, method: str, path: str, body_hash: str, idempotency_key: str | None) -> "RequestIdentity":
        """Raises `InvalidRequestError` where the key is empty, too long or not of visible ASCII characters and spaces."""
        digest = hashlib.sha256("\n".join((org_id, method, path, body_hash)).encode()).hexdigest()
        if idempotency_key is None:
            return cls(digest, digest, None)
        if not (0 < len(idempotency_key) <= MAX_KEY_CHARACTERS and idempotency_key.isascii() and idempotency_key.isprintable()):
            raise InvalidRequestError(f"Idempotency-Key must be 1 to {MAX_KEY_CHARACTERS} visible ASCII characters")
        command_id = str(uuid5(_NAMESPACE, f"{org_id}\n{idempotency_key}"))
        return cls(f"key:{command_id}", digest, command_id)


@dataclass(slots=True, eq=False)
class _Shared(Generic[T]):
    """One command that one or more requests wait for; `present` of the `joined` ones are not through yet.

    The newest one counts: an older one may be a dead connection whose client has repeated itself since.
    """

    digest: str
    work: "asyncio.Task[T] | None" = None
    command_id: str | None = None
    joined: int = 0
    present: int = 0
    newest_answered: bool = False


@dataclass(slots=True)
class Joined(Generic[T]):
    """A request's part in a command: what came of it, to be answered."""

    result: T
    _answer: Callable[[], Awaitable[None]]

    async def answered(self) -> None:
        """Say that the answer was written whole; an equal request from now on is a new one, but for a key or the window."""
        await self._answer()


@dataclass(slots=True)
class Repeats:
    """Remembers, in the API's own store, which command a request became until it was answered.

    `window_seconds`: for how long an answered request is still joined by an equal one.
    """

    database: AsyncEngine
    clock: Clock
    draw_id: Callable[[], str]
    window_seconds: float
    _shared: "dict[str, _Shared[object]]" = field(default_factory=dict)
    _being_forgotten: set[str] = field(default_factory=set)
    _sqlite_turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def joined(self, identity: RequestIdentity, act: Callable[[str], Awaitable[T]]) -> AsyncIterator[Joined[T]]:
        """Run `act` with the request's command id, or join the one that runs; its exceptions come to all who joined.

        Raises `InvalidRequestError` where the key was used for another request, `UnavailableError` where nothing can be
        remembered: then nothing was done.
        """
        shared: _Shared[T] | None = self._shared.get(identity.name)  # type: ignore[assignment]
        if shared is not None and shared.digest != identity.digest:
            raise _key_reused()
        if shared is None:
            shared = _Shared(identity.digest)
            self._shared[identity.name] = shared  # type: ignore[assignment]
            shared.work = asyncio.create_task(self._run(identity, shared, act))
        if shared.work is None:
            raise RuntimeError("a shared command has no task")
        shared.joined += 1
        shared.present += 1
        shared.newest_answered = False
        number = shared.joined
        try:
            result = await asyncio.shield(shared.work)
            yield Joined(result, lambda: self._answered(identity, shared, number))
        finally:
            shared.present -= 1
            if shared.work.done():
                self._leave(identity, shared)
            else:
                # nobody may wait any more, but a command under way had better become known; it ends by its own deadline
                shared.work.add_done_callback(lambda _: self._leave(identity, shared))
            if shared.present == 0 and shared.newest_answered:
                await self._settle(identity, shared)

    def _leave(self, identity: RequestIdentity, shared: "_Shared[T]") -> None:
        if shared.present == 0:
            self._drop(identity, shared)

    def _drop(self, identity: RequestIdentity, shared: "_Shared[T]") -> None:
        if shared.work is not None and shared.work.done() and not shared.work.cancelled():
            shared.work.exception()
        if self._shared.get(identity.name) is shared:
            del self._shared[identity.name]

    async def _run(self, identity: RequestIdentity, shared: "_Shared[T]", act: Callable[[str], Awaitable[T]]) -> T:
        try:
            shared.command_id = await self._remember(identity)
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError("the request can not be remembered now; nothing was accepted") from error
        return await act(shared.command_id)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """SQLite has one writer, and those of this process had better queue than sleep on its lock."""
        turn: AbstractAsyncContextManager[object] = self._sqlite_turn if self.database.dialect.name == "sqlite" else nullcontext()
        async with turn, writing(self.database) as connection:
            yield connection

    async def _remember(self, identity: RequestIdentity) -> str:
        """The id of the command that the request is, or becomes."""
        now = self.clock.now().timestamp()
        async with self._writing() as connection:
            await connection.execute(delete(requests).where(requests.c.forget_at <= now))
            query = select(requests.c.command_id, requests.c.digest).where(requests.c.request == identity.name)
            known = (await connection.execute(query)).first()
            if known is not None and known.command_id in self._being_forgotten:
                await connection.execute(delete(requests).where(requests.c.request == identity.name))
                known = None
            if known is None:
                fresh = insert(requests).values(
                    request=identity.name,
                    command_id=identity.command_id or self.draw_id(),
                    digest=identity.digest,
                    asked_at=now,
                    forget_at=now + (UNANSWERED_SECONDS if identity.command_id is None else KEYED_SECONDS),
                )
                # another process may have been first
                await connection.execute(fresh.on_conflict_do_nothing())
                known = (await connection.execute(query)).one()
        if known.digest != identity.digest:
            raise _key_reused()
        command_id: str = known.command_id
        return command_id

    async def _answered(self, identity: RequestIdentity, shared: "_Shared[T]", number: int) -> None:
        if number == shared.joined:
            shared.newest_answered = True
        if shared.present == 1 and shared.newest_answered:
            await self._settle(identity, shared)

    async def _settle(self, identity: RequestIdentity, shared: "_Shared[T]") -> None:
        """Before anything else can come in between, an equal request is a new one."""
        shared.newest_answered = False
        self._drop(identity, shared)
        if identity.command_id is None and shared.command_id is not None:
            await self._forget(identity.name, shared.command_id)

    async def _forget(self, name: str, command_id: str) -> None:
        """At once, or when the window is over."""
        own = (requests.c.request == name, requests.c.command_id == command_id)
        now = self.clock.now().timestamp()
        if self.window_seconds == 0:
            self._being_forgotten.add(command_id)
        try:
            async with self._writing() as connection:
                if self.window_seconds == 0:
                    await connection.execute(delete(requests).where(*own))
                else:
                    answered = requests.update().where(*own, requests.c.answered_at.is_(None))
                    await connection.execute(answered.values(answered_at=now, forget_at=now + self.window_seconds))
        except (SQLAlchemyError, OSError) as error:
            # an equal request may then join within ten minutes, though this one was answered
            _log.warning("an answered request stays remembered: %s", type(error).__name__, extra={"action": "forget-request"})
        finally:
            self._being_forgotten.discard(command_id)


def _key_reused() -> InvalidRequestError:
    return InvalidRequestError(KEY_REUSED)
