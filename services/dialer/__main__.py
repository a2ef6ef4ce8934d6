"""Runs the dialer: `python -m services.dialer`."""

import asyncio

from services.dialer.bootstrap import run_dialer
from services.dialer.settings import DialerSettings
from services.runtime.clock import SystemClock
from services.runtime.process import run_service
from services.runtime.topics_admin import ensure_topics


async def _main(settings: DialerSettings, stop: asyncio.Event) -> None:
    await ensure_topics(settings, ["dialer"])
    await run_dialer(settings, SystemClock(), stop)


if __name__ == "__main__":
    run_service(DialerSettings, _main)
