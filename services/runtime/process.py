"""Owns the life of a process: settings, logging, signals, and what the exit code says."""

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop

from services.runtime.errors import StartupError
from services.runtime.fail_points import VARIABLE, arm_fail_points
from services.runtime.kafka_connections import heed_closed_connections
from services.runtime.logging import configure_logging
from services.runtime.settings import Settings

AnySettings = TypeVar("AnySettings", bound=Settings)
Main = Callable[[AnySettings, asyncio.Event], Awaitable[None]]

_CANCEL_AGAIN_SECONDS = 3.0
"""A part may take this long to let go of what it holds."""

_OPEN_FILES = 65_536

_log = logging.getLogger(__name__)


def run_service(settings_type: type[AnySettings], main: Main[AnySettings]) -> None:
    """Run `main(settings, stop)` until it returns; SIGTERM and SIGINT set `stop`.

    Exits 0 after a clean stop, 2 with one line on standard error where the process can not start as configured,
    1 after anything else, with the exception logged.
    """
    try:
        settings = settings_type.load()
        configure_logging(settings.log_level)
        arm_fail_points(os.environ.get(VARIABLE, ""))
        _collect_seldom()
        _allow_open_files()
        heed_closed_connections()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(settings, main))
    except StartupError as error:
        print(str(error), file=sys.stderr)  # noqa: T201 - the one line that a person at the terminal reads
        sys.exit(2)
    except Exception:
        _log.exception("the process ends", extra={"action": "crash"})
        sys.exit(1)


def _allow_open_files() -> None:
    """As many as the system lets us: the soft limit is often 1,024, which is fewer than the connections that are taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES), hard))


def _collect_seldom() -> None:
    """Leave what the imports made alone, and look for cycles less often: batches of thousands of objects come and go without any."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _main(settings: AnySettings, main: Main[AnySettings]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await main(settings, stop)


async def until_stopped_or_failed(stop: asyncio.Event, *work: Awaitable[object]) -> None:
    """Wait for `stop`; if any of `work` ends before, raise what it raised, or `RuntimeError` where it just returned.

    All of `work` is cancelled, and has ended, when this returns or raises. A part that goes on, since a library swallowed the
    cancellation, is cancelled again.
    """
    stopping: asyncio.Future[object] = asyncio.ensure_future(stop.wait())
    tasks: list[asyncio.Future[object]] = [asyncio.ensure_future(task) for task in work]
    try:
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            await task
            raise RuntimeError("a part of the process ended by itself")
    finally:
        going_on = {stopping, *tasks}
        while going_on:
            for waiting in going_on:
                waiting.cancel()
            _, going_on = await asyncio.wait(going_on, timeout=_CANCEL_AGAIN_SECONDS)
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
