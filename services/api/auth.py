"""Owns who asks: the bearer key of a request, looked up and remembered for a moment."""

from collections import OrderedDict

from sqlalchemy.exc import SQLAlchemyError

from services.api.errors import UnauthorizedError, UnavailableError
from services.api.keys import ApiKey, KeyStore, key_hash
from services.runtime.clock import Clock

_REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 10_000
_REFUSAL = "Invalid key: send yours as `Authorization: Bearer <key>`"


class Authenticator:
    """Says which org a request is of; a revoked key is refused within five seconds everywhere."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    async def key_of(self, authorization: str | None) -> ApiKey:
        """The key in the `Authorization` header; raises `UnauthorizedError`, or `UnavailableError` where no key can be looked up."""
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise UnauthorizedError(_REFUSAL)
        key = await self._look_up(secret)
        if key is None or not key.is_valid(self._clock.now()):
            raise UnauthorizedError(_REFUSAL)
        return key

    async def _look_up(self, secret: str) -> ApiKey | None:
        name, now = key_hash(secret), self._clock.monotonic()
        known = self._known.get(name)
        if known is not None and now - known[0] < _REMEMBERED_SECONDS:
            return known[1]
        try:
            key = await self._store.find(secret)
        except (SQLAlchemyError, OSError) as error:
            raise UnavailableError("keys can not be looked up now") from error
        self._known.pop(name, None)
        if key is not None:
            self._known[name] = (now, key)
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
        return key
