"""Owns one service process: start, ask whether it is ready, stop, kill; its output goes to a file."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from infra.children import die_with_this_process

_LARGEST_LOG_BYTES = 16 * 1024 * 1024
_LOOK_EVERY_SECONDS = 0.05


@dataclass(slots=True)
class Child:
    """A process that can be started again after it ended; start it from the main thread."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    ready_url: str
    process: "subprocess.Popen[bytes] | None" = field(default=None)
    started_at: float = field(default=0.0)
    _log_begins: int = field(default=0, repr=False)

    def start(self) -> None:
        """Do nothing when it runs. A log that has grown past 16 MiB is put aside, over the one put aside before."""
        if self.runs():
            return
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > _LARGEST_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".old.log"))
        with self.log_file.open("ab") as log:
            self._log_begins = log.tell()
            self.process = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_this_process(),
                start_new_session=True,
            )
        self.started_at = time.monotonic()

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative by a signal; `None` while it runs or was never started."""
        return None if self.process is None else self.process.poll()

    async def ended(self) -> int:
        """Wait until it has ended by itself or was killed; how it ended."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - a process tells nobody when it ends
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return code

    async def not_ready(self, http: aiohttp.ClientSession) -> str | None:
        """`None` when it is ready, otherwise what it lacks."""
        try:
            async with http.get(self.ready_url, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return None if response.status == 200 else (await response.text())[:300]
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"no answer at {self.ready_url} ({type(error).__name__})"

    async def stop(self, within_seconds: float = 15.0) -> bool:
        """Send SIGTERM and wait; kill it after `within_seconds`. Whether it stopped by itself, as it does when it did not run."""
        if not self.runs() or self.process is None:
            return True
        self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within_seconds):
                await self.ended()
        except TimeoutError:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send the signal, such as SIGSTOP; it must be running."""
        if self.process is not None:
            self.process.send_signal(number)

    def last_words(self) -> str:
        """The last line that it wrote since it was started; of a log record the end of its exception, or its message."""
        if not self.log_file.exists():
            return "it said nothing"
        lines = self.log_file.read_bytes()[self._log_begins :].decode(errors="replace").strip().splitlines()
        return _plain((lines or ["it said nothing"])[-1])[:400]


def _plain(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    told = str(record.get("exception") or record.get("message") or line)
    return told.strip().splitlines()[-1]
