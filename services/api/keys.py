"""Owns API keys: drawn once, shown once, kept as hashes; the key decides the org (contract, "Requests")."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.instants import iso
from projections.store.engine import reading, writing
from services.api.own_store import keys

PREFIX = "rf_"
_SHOWN_CHARACTERS = 8
READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
"""What a key may be for: to ask what is there, and to change it. Neither holds the other."""
Draw = Callable[[], str]
"""Gives at least 128 random bits as URL-safe text."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept; the key itself is not. Instants are `iso` text."""

    id: str
    prefix: str
    org_id: str
    name: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    scopes: str | None
    """Separated by blanks; `None` means all."""

    def allows(self, scope: str) -> bool:
        return self.scopes is None or scope in self.scopes.split()

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > iso(now))


class KeyNotValidError(Exception):
    """The key is unknown, expired or revoked, so nothing can take its place. Not retriable."""


class ExpiryNeededError(Exception):
    """The key ends, and what takes its place may not live for ever by itself. Not retriable."""


class KeyStore:
    """The keys in the API's own store; raises the database's own errors.

    `changes` goes up with every change that this object makes to keys which exist, so that what was found before is not trusted any more.
    """

    def __init__(self, database: AsyncEngine, draw: Draw) -> None:
        self._database = database
        self._draw = draw
        self.changes = 0

    async def create(
        self, org_id: str, name: str, now: datetime, expires_at: datetime | None = None, scopes: Sequence[str] = SCOPES
    ) -> tuple[ApiKey, str]:
        """The new key's record and the key itself, which can not be read again."""
        async with writing(self._database) as connection:
            return await self._insert(connection, org_id, name, now, expires_at, " ".join(scopes))

    async def rotate(self, key_id: str, now: datetime, grace: timedelta, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
        """A new key for the same org, name and scopes; the old one ends once `grace` is over, if it would not end before.

        Raises `KeyNotValidError`, and `ExpiryNeededError` where the old one ends and it is not said when the new one does.
        """
        async with writing(self._database) as connection:
            asked = select(*(keys.c[field] for field in ApiKey.__slots__)).where(keys.c.id == key_id).with_for_update()
            row = (await connection.execute(asked)).first()
            old = None if row is None else ApiKey(*row)
            if old is None or not old.is_valid(now):
                raise KeyNotValidError
            if expires_at is None and old.expires_at is not None:
                raise ExpiryNeededError
            ends_at = iso(now + grace)
            if old.expires_at is None or ends_at < old.expires_at:
                await connection.execute(update(keys).where(keys.c.id == key_id).values(expires_at=ends_at))
            made = await self._insert(connection, old.org_id, old.name, now, expires_at, old.scopes)
        self.changes += 1
        return made

    async def _insert(
        self, connection: AsyncConnection, org_id: str, name: str, now: datetime, expires_at: datetime | None, scopes: str | None
    ) -> tuple[ApiKey, str]:
        secret = PREFIX + self._draw()
        key = ApiKey(
            id=hashlib.sha256(self._draw().encode()).hexdigest()[:16],
            prefix=secret[: len(PREFIX) + _SHOWN_CHARACTERS],
            org_id=org_id,
            name=name,
            created_at=iso(now),
            expires_at=None if expires_at is None else iso(expires_at),
            revoked_at=None,
            scopes=scopes,
        )
        values = {field: getattr(key, field) for field in ApiKey.__slots__}
        await connection.execute(insert(keys).values(hash=key_hash(secret), **values))
        return key, secret

    async def find(self, secret: str) -> ApiKey | None:
        """The record of the key, valid or not."""
        query = select(*(keys.c[field] for field in ApiKey.__slots__)).where(keys.c.hash == key_hash(secret))
        async with reading(self._database) as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else ApiKey(*row)

    async def all(self) -> list[ApiKey]:
        """Every key, oldest first."""
        query = select(*(keys.c[field] for field in ApiKey.__slots__)).order_by(keys.c.created_at, keys.c.id)
        async with reading(self._database) as connection:
            return [ApiKey(*row) for row in await connection.execute(query)]

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """Whether such a key exists; one that was revoked before keeps its first time."""
        change = update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=iso(now))
        async with writing(self._database) as connection:
            await connection.execute(change)
            found = (await connection.execute(select(keys.c.id).where(keys.c.id == key_id))).first()
        self.changes += 1
        return found is not None


def key_hash(secret: str) -> str:
    """SHA-256 in hex; a key has too many random bits for a slower hash to add anything."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
