"""Owns who asks: the bearer key of a request, looked up, remembered for a moment, and for longer while no key can be looked up."""

import asyncio
import logging
from collections import OrderedDict
from typing import NamedTuple

from projections.store.engine import DATABASE_FAULTS
from services.api.errors import UnauthorizedError, UnavailableError
from services.api.keys import ApiKey, KeyStore, key_hash
from services.runtime.clock import Clock

_REMEMBERED_SECONDS = 1.0
_MOST_REMEMBERED = 10_000
_LOOK_UP_SECONDS = 10.0
"""A store that is silent for so long is away."""
_PATIENCE_SECONDS = 1.0
"""How long a look-up may take before a key that was found lately is taken as it was found."""
_REFUSAL = "Invalid key: send yours as `Authorization: Bearer <key>`"

_log = logging.getLogger(__name__)


class _Known(NamedTuple):
    """A key as it was found at `at`, when the store had made so many `changes`."""

    at: float
    changes: int
    key: ApiKey


class _LookUp(NamedTuple):
    """A look-up that began at `at`."""

    at: float
    task: "asyncio.Task[ApiKey | None]"


class Authenticator:
    """Says which org a request is of, without asking the store more than once a second for a key.

    A key that is revoked through the same store object is refused at once, everywhere else within a second; but while the store does
    not answer, a key stays as it was found last, for `outage_seconds` from then.
    """

    def __init__(self, store: KeyStore, clock: Clock, outage_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._outage_seconds = outage_seconds
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._finding: dict[tuple[str, int], _LookUp] = {}
        self._is_away = False

    async def key_of(self, authorization: str | None) -> ApiKey:
        """The key in the `Authorization` header; raises `UnauthorizedError`, or `UnavailableError` where no key can be looked up."""
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise UnauthorizedError(_REFUSAL)
        name = key_hash(secret)
        key = self._found_within(_REMEMBERED_SECONDS, name)
        if key is None:
            key = await self._find(name, secret)
        if key is None or key.revoked_at is not None or (key.expires_at is not None and not key.is_valid(self._clock.now())):
            raise UnauthorizedError(_REFUSAL)
        return key

    async def _find(self, name: str, secret: str) -> ApiKey | None:
        """One look-up for all who ask for the key meanwhile, unless keys were changed since it began."""
        sought = name, self._store.changes
        look_up = self._finding.get(sought)
        if look_up is None:
            look_up = self._finding[sought] = _LookUp(self._clock.monotonic(), asyncio.create_task(self._look_up(name, secret)))
            look_up.task.add_done_callback(lambda done: self._found(sought, done))
        lately = self._found_within(self._outage_seconds, name)
        if lately is None:
            return await asyncio.shield(look_up.task)
        await asyncio.wait([look_up.task], timeout=max(look_up.at + _PATIENCE_SECONDS - self._clock.monotonic(), 0.0))
        if look_up.task.done() and look_up.task.exception() is None:
            return look_up.task.result()
        return lately

    def _found_within(self, seconds: float, name: str) -> ApiKey | None:
        """The key as it was found last, if that is not longer ago and no key was changed here since; it may be one that was revoked."""
        known = self._known.get(name)
        if known is None or known.changes != self._store.changes or self._clock.monotonic() - known.at >= seconds:
            return None
        return known.key

    def _found(self, sought: tuple[str, int], done: "asyncio.Task[ApiKey | None]") -> None:
        del self._finding[sought]
        if not done.cancelled():
            # who asked may be gone: the failure is nobody's then
            done.exception()

    async def _look_up(self, name: str, secret: str) -> ApiKey | None:
        at, changes = self._clock.monotonic(), self._store.changes
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                key = await self._store.find(secret)
        except DATABASE_FAULTS as error:
            if not self._is_away:
                _log.warning("keys can not be looked up: %s", type(error).__name__, extra={"action": "keys-away"})
            self._is_away = True
            raise UnavailableError("keys can not be looked up now") from error
        self._is_away = False
        self._known.pop(name, None)
        if key is not None:
            self._known[name] = _Known(at, changes, key)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return key
