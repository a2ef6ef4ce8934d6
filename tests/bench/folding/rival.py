"""Owns the part of a contestant that is a program of its own: it says `begin` and `done`, is measured in between, and gives its dump."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from events.topics import CAMPAIGN_EVENTS
from infra.children import die_with_this_process
from services.runtime.kafka import client_options
from tests.bench.folding.contestant import ContestantError, FoldLog, Measured
from tests.bench.folding.meter import Meter
from tests.bench.reference import digest

_LOOK_EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Rival:
    """`command` is what starts it. `commits`: it is done when its group has committed all offsets, otherwise when it says so.

    One that only reads `folds` nothing and has no dump. One that is so quick that it would be far before its word was heard `waits`.
    """

    name: str
    command: Sequence[str]
    survives: str
    commits: bool = False
    folds: bool = True
    waits: bool = False

    async def fold(self, log: FoldLog, directory: Path) -> Measured:
        group = f"{log.settings.topic_prefix}{directory.name.lower().replace(',', '')}"
        async with self._running(log, directory, group) as process:
            await self._until_said(process, directory, "begin")
            meter = Meter([process.pid])
            if self.waits:
                await _ask(process, b"go\n")
            if self.commits:
                await _until_committed(log, group, process)
            else:
                await self._until_said(process, directory, "done")
            measured = meter.stop(log.events)
            await _ask(process, b"dump\n")
            await process.wait()
        if not self.folds:
            return measured
        dump = directory / "dump"
        if not dump.exists():
            raise ContestantError(f"it gave no dump: {_last_words(directory)}")
        return replace(measured, digest=await asyncio.to_thread(lambda: digest(dump.read_bytes().splitlines(keepends=True))))

    @asynccontextmanager
    async def _running(self, log: FoldLog, directory: Path, group: str) -> AsyncIterator[asyncio.subprocess.Process]:
        task = {
            "--servers": log.settings.kafka_bootstrap_servers,
            "--topic": log.settings.topic_name(CAMPAIGN_EVENTS),
            "--group": group,
            "--events": str(log.events),
            "--directory": str(directory),
        }
        with (directory / "errors").open("wb") as errors:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.command, *(word for pair in task.items() for word in pair),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                    preexec_fn=die_with_this_process(),
                )  # fmt: skip
            except FileNotFoundError as error:
                raise ContestantError(f"{error.filename} is not installed: `make bench` does that") from error
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _until_said(self, process: asyncio.subprocess.Process, directory: Path, word: str) -> None:
        """Anything else that it says is passed over."""
        assert process.stdout is not None
        async for line in process.stdout:
            if line.strip() == word.encode():
                return
        raise ContestantError(f"it ended before it said {word}: {_last_words(directory)}")


async def _ask(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    await process.stdin.drain()


def _last_words(directory: Path) -> str:
    lines = (directory / "errors").read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


async def _until_committed(log: FoldLog, group: str, process: asyncio.subprocess.Process) -> None:
    topic = log.settings.topic_name(CAMPAIGN_EVENTS)
    admin = AIOKafkaAdminClient(**client_options(log.settings))
    await admin.start()
    try:
        while process.returncode is None:
            offsets = await admin.list_consumer_group_offsets(group)
            if sum(committed.offset for partition, committed in offsets.items() if partition.topic == topic) >= log.events:
                return
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    finally:
        await admin.close()
    raise ContestantError(f"it ended by itself with {process.returncode}")
