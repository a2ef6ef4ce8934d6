"""Owns the commands that make, list and revoke keys: `python -m services.api keys ...`."""

import argparse
import asyncio
import sys
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from events.instants import parse_instant
from events.wire import Identifier
from services.api.bootstrap import key_store, own_store
from services.api.settings import ApiSettings
from services.runtime.clock import Clock
from services.runtime.errors import StartupError


def run_keys_command(arguments: list[str], clock: Clock) -> int:
    """The exit code; what was asked for goes to standard output, one line that says what is wrong to standard error."""
    try:
        return asyncio.run(_run(_parser().parse_args(arguments), ApiSettings.load(), clock))
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.api keys", description="API keys; each belongs to one org.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it, once")
    create.add_argument("--org", required=True, type=_org)
    create.add_argument("--name", required=True)
    create.add_argument("--expires-at", type=parse_instant, help="such as 2030-01-31T09:00:00Z")
    commands.add_parser("list", help="id, org, name, first characters and state of each key")
    revoke = commands.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id")
    return parser


def _org(value: str) -> str:
    try:
        org: str = TypeAdapter(Identifier).validate_python(value)
    except ValidationError as error:
        raise argparse.ArgumentTypeError("must be 1 to 200 visible ASCII characters") from error
    return org


async def _run(asked: argparse.Namespace, settings: ApiSettings, clock: Clock) -> int:
    async with own_store(settings) as database:
        store, now = key_store(database), clock.now()
        if asked.command == "create":
            expires_at: datetime | None = asked.expires_at
            _, secret = await store.create(asked.org, asked.name, now, expires_at)
            sys.stdout.write(f"{secret}\n")
        elif asked.command == "list":
            for key in await store.all():
                state = "valid" if key.is_valid(now) else "revoked" if key.revoked_at else "expired"
                sys.stdout.write("\t".join((key.id, key.org_id, key.name, f"{key.prefix}...", key.created_at, state)) + "\n")
        elif not await store.revoke(asked.id, now):
            sys.stderr.write(f"there is no key {asked.id}\n")
            return 1
    return 0
