"""Runs the notifier: `python -m services.notifier`, and its commands: `python -m services.notifier secret|dead`."""

import asyncio
import sys

from services.notifier.bootstrap import COMMANDS_GROUP, GROUP, run_notifier
from services.notifier.cli import run_command
from services.notifier.settings import NotifierSettings
from services.runtime.clock import SystemClock
from services.runtime.process import run_service
from services.runtime.topics_admin import ensure_topics


async def _main(settings: NotifierSettings, stop: asyncio.Event) -> None:
    await ensure_topics(settings, [GROUP, COMMANDS_GROUP])
    await run_notifier(settings, SystemClock(), stop)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(run_command(sys.argv[1:], SystemClock()))
    run_service(NotifierSettings, _main)
