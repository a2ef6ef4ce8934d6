"""Runs the stack: `python -m infra.stack run` until it is stopped, `python -m infra.stack demo` for one campaign."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from infra.kafka.broker import Broker
from infra.stack.client import ApiClient, api_is_ready, api_url, demo_key
from infra.stack.demo import run_demo
from infra.stack.errors import StackError
from infra.stack.plan import BROKER_DIRECTORY, StackSettings, children_of, require_free_ports
from infra.stack.stack import Stack
from services.runtime.errors import StartupError


def _stack(settings: StackSettings) -> Stack:
    require_free_ports(settings)
    if not settings.brings_its_own_broker():
        return Stack(settings, children_of(settings, **settings.phone_network()), _say)
    broker = Broker(BROKER_DIRECTORY, settings.kafka_port, settings.kafka_controller_port)
    settings = settings.with_own_broker(broker)
    return Stack(settings, children_of(settings, **settings.phone_network()), _say, broker)


async def _run(settings: StackSettings) -> None:
    print("starting Ringfold ...", flush=True)
    async with _stack(settings) as stack:
        key = await demo_key(stack.settings)
        url = api_url(settings)
        print(
            f"\nRingfold is ready.\n"
            f"  API    {url}\n"
            f"  key    {key}\n"
            f"  Kafka  {stack.settings.kafka_bootstrap_servers}\n"
            f"  logs   {settings.data_dir / 'logs'}\n\n"
            f"Create a campaign:\n"
            f"  curl -s {url}/campaign -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' "
            f'-d \'{{"name":"First","assistantId":"a","phoneNumberId":"p","customers":[{{"number":"+15550000001"}}]}}\'\n\n'
            f"Ctrl-C stops it.",
            flush=True,
        )
        await asyncio.get_running_loop().create_future()


async def _demo(settings: StackSettings) -> None:
    if await api_is_ready(settings):
        await _show(settings)
        return
    print("starting Ringfold ...", flush=True)
    async with _stack(settings) as stack:
        await _show(stack.settings)


async def _show(settings: Any) -> None:
    async with ApiClient(settings, await demo_key(settings)) as api:
        await run_demo(api)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _until_signalled(work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work came to its end; SIGINT and SIGTERM cancel it, and it cleans up after itself."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


def main() -> int:
    """The exit code: 0 when stopped or done, 1 when something is wrong, 130 when a demo was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    parser.add_argument("what", choices=("run", "demo"))
    what = parser.parse_args().what
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every retry; what fails in the end is raised
    try:
        settings = StackSettings.load()
        done = asyncio.run(_until_signalled(_run(settings) if what == "run" else _demo(settings)))
    except (StackError, StartupError) as error:
        _say(str(error))
        return 1
    return 0 if done or what == "run" else 130


if __name__ == "__main__":
    sys.exit(main())
