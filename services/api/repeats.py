"""Owns that a repeated request joins the first one (contract, "Repeats by the SDKs"): remembered before anything is appended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.api.errors import InvalidRequestError
from services.api.remembered_requests import RememberedRequests
from services.api.request_identity import KEY_REUSED, RequestIdentity

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Shared(Generic[T]):
    """One command that one or more requests wait for; `present` of the `joined` ones are not through yet.

    The newest one counts, and when it was answered an equal request is a new one, whatever older ones still do: an older one may be a dead
    connection, or a client that does not read, which has repeated itself since.
    """

    digest: str
    work: "asyncio.Task[T] | None" = None
    command_id: str | None = None
    joined: int = 0
    present: int = 0


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
    """Requests that are equal, and come while the first is under way or was never fully answered, are one command."""

    remembered: RememberedRequests
    _shared: "dict[str, _Shared[object]]" = field(default_factory=dict)

    @asynccontextmanager
    async def joined(
        self, identity: RequestIdentity, act: Callable[[str], Awaitable[T]], *, must_be_stored: bool = False
    ) -> AsyncIterator[Joined[T]]:
        """Run `act` with the request's command id, or join the one that runs; its exceptions come to all who joined.

        Raises what `RememberedRequests.command_of` does: then nothing was done.
        """
        shared: _Shared[T] | None = self._shared.get(identity.name)  # type: ignore[assignment]
        if shared is not None and shared.digest != identity.digest:
            raise InvalidRequestError(KEY_REUSED)
        if shared is None:
            shared = _Shared(identity.digest)
            self._shared[identity.name] = shared  # type: ignore[assignment]
            shared.work = asyncio.create_task(self._run(identity, shared, act, must_be_stored))
        if shared.work is None:
            raise RuntimeError("a shared command has no task")
        shared.joined += 1
        shared.present += 1
        number = shared.joined
        # what was asked may be large, and the answer may take long to write
        del act
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

    def _leave(self, identity: RequestIdentity, shared: "_Shared[T]") -> None:
        if shared.present == 0:
            self._drop(identity, shared)

    def _drop(self, identity: RequestIdentity, shared: "_Shared[T]") -> None:
        if shared.work is not None and shared.work.done() and not shared.work.cancelled():
            shared.work.exception()
        if self._shared.get(identity.name) is shared:
            del self._shared[identity.name]

    async def _run(self, identity: RequestIdentity, shared: "_Shared[T]", act: Callable[[str], Awaitable[T]], must_be_stored: bool) -> T:
        shared.command_id = await self.remembered.command_of(identity, must_be_stored=must_be_stored)
        return await act(shared.command_id)

    async def _answered(self, identity: RequestIdentity, shared: "_Shared[T]", number: int) -> None:
        """Before anything else can come in between, an equal request is a new one; unless a newer one waits to be answered."""
        if number != shared.joined:
            return
        self._drop(identity, shared)
        if identity.command_id is None and shared.command_id is not None:
            await self.remembered.forget(identity.name, shared.command_id)
