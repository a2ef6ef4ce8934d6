"""Owns the API's operational state: keys and remembered requests, in tables that only the API touches.

Losing them loses no truth: keys are made anew, and a repeat of a request that was never answered may become a second command.
"""

from sqlalchemy import Column, Float, Index, MetaData, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.store.engine import writing

metadata = MetaData()

keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("org_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text),
    Column("revoked_at", Text),
)
"""`hash` is the SHA-256 of the key in hex, `prefix` the first characters of it by which a person tells keys apart."""

requests = Table(
    "api_requests",
    metadata,
    Column("request", Text, primary_key=True),
    Column("command_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("answered_at", Float),
    Column("forget_at", Float, nullable=False),
    Index("api_requests_by_forgetting", "forget_at"),
)
"""`request` says which request it is, `digest` what it asks; instants are seconds since 1970, UTC."""

_SCHEMA_LOCK = 4_807_155_930
"""The PostgreSQL advisory lock under which the tables are made; the number means nothing."""


async def ensure_own_schema(database: AsyncEngine) -> None:
    """Create what is missing; idempotent, and safe when several processes start at once."""
    async with writing(database) as connection:
        if database.dialect.name != "sqlite":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
        await connection.run_sync(metadata.create_all)
