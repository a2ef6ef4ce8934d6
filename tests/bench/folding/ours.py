"""Owns our own part in it: the projector as the process that it is in real life, on SQLite or PostgreSQL."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.children import die_with_this_process
from projections.store.engine import open_database, reading
from projections.store.tables import LIVE
from tests.bench.environment import peak_bytes
from tests.bench.folding.contestant import ContestantError, FoldLog, Measured
from tests.bench.folding.meter import Meter
from tests.bench.reference import call_line, campaign_line, digest

_ASSIGNED = b'"action":"assigned"'
_LOOK_EVERY_SECONDS = 0.05
_START_SECONDS = 60.0

NewDatabase = Callable[[Path], Awaitable[str]]
"""Makes an empty database, of a directory that is empty too, and gives its URL."""


@dataclass(frozen=True, slots=True)
class OurProjector:
    """`port`: where its health is served; the same for every run on one log, since it names the process's place in its group.

    `servers` are the database's own processes. `killed_at`: at this share of the log it gets a kill -9 and is started again.
    """

    name: str
    port: int
    new_database: NewDatabase
    servers: Sequence[int] = ()
    killed_at: float | None = None
    survives: str = "rows and offset, together"

    async def fold(self, log: FoldLog, directory: Path) -> Measured:
        url = await self.new_database(directory)
        database = open_database(url)
        try:
            if self.killed_at is not None:
                async with self._running(log, directory, url) as process:
                    await _until_folded(database, int(log.events * self.killed_at), process)
            async with self._running(log, directory, url) as process:
                meter = Meter([process.pid, *self.servers])
                peaks = []
                for quarter in range(1, 5):
                    await _until_folded(database, log.events * quarter // 4, process)
                    peaks.append(peak_bytes(process.pid))
                measured = meter.stop(log.events)
            return replace(measured, digest=await _digest(database), peaks_by_quarter=tuple(peaks))
        finally:
            await database.dispose()

    @asynccontextmanager
    async def _running(self, log: FoldLog, directory: Path, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """From when it has its partitions; it ends by kill -9, so what is read afterwards is what survived that."""
        settings = log.settings.model_copy(update={"data_dir": directory, "database_url": url, "projector_port": self.port})
        values = {name.upper(): str(value) for name, value in settings.model_dump().items() if value is not None}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.projector",
            env=os.environ | values, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            preexec_fn=die_with_this_process(),
        )  # fmt: skip
        said: list[bytes] = []
        assigned = asyncio.Event()
        listening = asyncio.ensure_future(_listen(process, said, assigned))
        try:
            async with asyncio.timeout(_START_SECONDS):
                waiting = asyncio.ensure_future(assigned.wait())
                await asyncio.wait([waiting, listening], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            if not assigned.is_set():
                raise ContestantError(f"the projector ended: {b''.join(said[-3:]).decode(errors='replace')}")
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await listening


async def _listen(process: asyncio.subprocess.Process, said: list[bytes], assigned: asyncio.Event) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        said.append(line)
        if _ASSIGNED in line:
            assigned.set()


async def _until_folded(database: AsyncEngine, events: int, process: asyncio.subprocess.Process) -> None:
    """Until so many events of all partitions are in the read model."""
    while process.returncode is None:
        async with reading(database) as connection:
            folded = await connection.scalar(select(func.sum(LIVE.offsets.c.next_offset)))
        if (folded or 0) >= events:
            return
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    raise ContestantError(f"the projector ended by itself with {process.returncode}")


async def _digest(database: AsyncEngine) -> str:
    calls, campaigns = LIVE.calls, LIVE.campaigns
    counters = [
        campaigns.c[name] for name in ("calls_scheduled", "calls_queued", "calls_in_progress", "calls_ended", "calls_ended_voicemail")
    ]
    async with reading(database) as connection:
        lines = [call_line(*row) for row in await connection.execute(select(calls.c.id, calls.c.status, calls.c.ended_reason))]
        lines += [campaign_line(row[0], row[1:]) for row in await connection.execute(select(campaigns.c.id, *counters))]
    return await asyncio.to_thread(digest, lines)
