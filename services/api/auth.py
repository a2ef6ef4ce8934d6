"""Owns who asks: the bearer key of a request, looked up and remembered for a moment."""

import asyncio
from collections import OrderedDict
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from services.api.errors import UnauthorizedError, UnavailableError
from services.api.keys import ApiKey, KeyStore, key_hash
from services.runtime.clock import Clock

_REMEMBERED_SECONDS = 1.0
_MOST_REMEMBERED = 10_000
_REFUSAL = "Invalid key: send yours as `Authorization: Bearer <key>`"


class _Known(NamedTuple):
    """A key as it was found at `at`, when the store had made so many `changes`."""

    at: float
    changes: int
    key: ApiKey


class Authenticator:
    """Says which org a request is of, without asking the store more than once a second for a key.

    A key that is revoked through the same store object is refused at once, everywhere else within a second.
    """

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._finding: dict[tuple[str, int], asyncio.Task[ApiKey | None]] = {}

    async def key_of(self, authorization: str | None) -> ApiKey:
        """The key in the `Authorization` header; raises `UnauthorizedError`, or `UnavailableError` where no key can be looked up."""
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise UnauthorizedError(_REFUSAL)
        name = key_hash(secret)
        known = self._known.get(name)
        if known is not None and known.changes == self._store.changes and self._clock.monotonic() - known.at < _REMEMBERED_SECONDS:
            key: ApiKey | None = known.key
        else:
            key = await self._find(name, secret)
        if key is None or key.revoked_at is not None or (key.expires_at is not None and not key.is_valid(self._clock.now())):
            raise UnauthorizedError(_REFUSAL)
        return key

    async def _find(self, name: str, secret: str) -> ApiKey | None:
        """One look-up for all who ask for the key meanwhile, unless keys were changed since it began."""
        sought = name, self._store.changes
        if sought not in self._finding:
            task = self._finding[sought] = asyncio.create_task(self._look_up(name, secret))
            task.add_done_callback(lambda done: self._found(sought, done))
        return await asyncio.shield(self._finding[sought])

    def _found(self, sought: tuple[str, int], done: asyncio.Task[ApiKey | None]) -> None:
        del self._finding[sought]
        if not done.cancelled():
            # who asked may be gone: the failure is nobody's then
            done.exception()

    async def _look_up(self, name: str, secret: str) -> ApiKey | None:
        at, changes = self._clock.monotonic(), self._store.changes
        try:
            key = await self._store.find(secret)
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError("keys can not be looked up now") from error
        self._known.pop(name, None)
        if key is not None:
            self._known[name] = _Known(at, changes, key)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return key
