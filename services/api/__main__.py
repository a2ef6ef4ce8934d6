"""Runs the API: `python -m services.api`; its keys: `... keys create|list|rotate|revoke`; its OpenAPI document: `... openapi`."""

import asyncio
import json
import sys

from services.api.bootstrap import Api
from services.api.keys_cli import run_keys_command
from services.api.openapi import openapi
from services.api.settings import ApiSettings
from services.runtime.clock import SystemClock
from services.runtime.process import run_service
from services.runtime.topics_admin import ensure_topics


async def _main(settings: ApiSettings, stop: asyncio.Event) -> None:
    await ensure_topics(settings, groups=())
    await Api(settings, SystemClock()).run(stop)


if __name__ == "__main__":
    if sys.argv[1:2] == ["keys"]:
        sys.exit(run_keys_command(sys.argv[2:], SystemClock()))
    if sys.argv[1:2] == ["openapi"]:
        sys.stdout.write(json.dumps(openapi()))
        sys.exit()
    run_service(ApiSettings, _main)
