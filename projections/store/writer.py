"""Owns write transactions: plain functions of a connection, each run as one transaction."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.store.engine import open_sqlite_writer, writing

T = TypeVar("T")


class Writer:
    """Runs write transactions; each is committed when its function returns and rolled back when it raises.

    On SQLite, which has one writer, they run one after the other in a thread of their own: a statement there takes
    microseconds, less than handing it over. A caller that is cancelled does not learn whether its transaction was committed.
    """

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._engine: Engine | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[Connection], T]) -> T:
        if self._database.dialect.name == "sqlite":
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "read-model-writer")
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run_in_thread, work)
        async with writing(self._database) as connection:
            return await connection.run_sync(work)

    def _run_in_thread(self, work: Callable[[Connection], T]) -> T:
        if self._engine is None:
            self._engine = open_sqlite_writer(self._database)
        with self._engine.begin() as connection:
            return work(connection)

    async def close(self) -> None:
        """Wait for the transaction under way and let go; idempotent."""
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._engine is not None:
                await asyncio.get_running_loop().run_in_executor(thread, self._engine.dispose)
                self._engine = None
            thread.shutdown()
