"""Owns the API's operational state: keys and remembered requests, in tables that only the API touches.

Losing them loses no truth: keys are made anew, and a repeat of a request that was never answered may become a second command.
"""

from sqlalchemy import Column, Float, Index, MetaData, Table, Text

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
    Column("scopes", Text),
)
"""`hash` is the SHA-256 of the key in hex, `prefix` the first characters of it by which a person tells keys apart.

`scopes` are separated by blanks; null, as in keys of before there were scopes, means all.
"""

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
