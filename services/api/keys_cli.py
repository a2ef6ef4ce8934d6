"""Owns the commands that make, list, rotate and revoke keys: `python -m services.api keys ...`."""

import argparse
import asyncio
import re
import sys
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from events.instants import parse_instant
from events.wire import Identifier
from services.api.bootstrap import key_store, own_store
from services.api.keys import SCOPES, ApiKey, ExpiryNeededError, KeyNotValidError, KeyStore
from services.api.settings import ApiSettings
from services.runtime.clock import Clock
from services.runtime.errors import StartupError

_SPAN = re.compile(r"([0-9]{1,6})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


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
    create.add_argument("--scope", action="append", choices=SCOPES, help="what it may do; again for another, left out: all")
    _add_expiry(create)
    commands.add_parser("list", help="id, org, name, first characters, since when, until when, scopes and state of each key")
    rotate = commands.add_parser("rotate", help="make a key that takes another's place and print it, once")
    rotate.add_argument("id")
    rotate.add_argument("--grace", type=_span, default=timedelta(days=1), help="how long the old key is still taken, such as 12h; 1d")
    _add_expiry(rotate)
    revoke = commands.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("id")
    return parser


def _add_expiry(command: argparse.ArgumentParser) -> None:
    expiry = command.add_mutually_exclusive_group()
    expiry.add_argument("--expires-at", type=parse_instant, help="such as 2030-01-31T09:00:00Z")
    expiry.add_argument("--expires-in", type=_span, help="such as 90d, 12h, 30m")


def _org(value: str) -> str:
    try:
        org: str = TypeAdapter(Identifier).validate_python(value)
    except ValidationError as error:
        raise argparse.ArgumentTypeError("must be 1 to 200 visible ASCII characters") from error
    return org


def _span(value: str) -> timedelta:
    matched = _SPAN.fullmatch(value)
    if matched is None:
        raise argparse.ArgumentTypeError("must be a number of seconds, or one with s, m, h or d behind it")
    return timedelta(seconds=int(matched[1]) * _SECONDS[matched[2]])


async def _run(asked: argparse.Namespace, settings: ApiSettings, clock: Clock) -> int:
    async with own_store(settings) as database:
        store, now = key_store(database), clock.now()
        match asked.command:
            case "create":
                _, secret = await store.create(asked.org, asked.name, now, _expiry(asked, now), asked.scope or SCOPES)
                sys.stdout.write(f"{secret}\n")
            case "rotate":
                return await _rotate(store, asked, now)
            case "list":
                for key in await store.all():
                    sys.stdout.write("\t".join(_cells(key, now)) + "\n")
            case _ if not await store.revoke(asked.id, now):
                sys.stderr.write(f"there is no key {asked.id}\n")
                return 1
    return 0


async def _rotate(store: KeyStore, asked: argparse.Namespace, now: datetime) -> int:
    try:
        _, secret = await store.rotate(asked.id, now, asked.grace, _expiry(asked, now))
    except KeyNotValidError:
        sys.stderr.write(f"there is no valid key {asked.id}\n")
        return 1
    except ExpiryNeededError:
        sys.stderr.write(f"the key {asked.id} ends: say when the new one shall, by --expires-in or --expires-at\n")
        return 2
    sys.stdout.write(f"{secret}\n")
    return 0


def _expiry(asked: argparse.Namespace, now: datetime) -> datetime | None:
    expires_at: datetime | None = asked.expires_at
    return expires_at if asked.expires_in is None else now + asked.expires_in


def _cells(key: ApiKey, now: datetime) -> tuple[str, ...]:
    state = "valid" if key.is_valid(now) else "revoked" if key.revoked_at else "expired"
    scopes = ",".join(SCOPES if key.scopes is None else key.scopes.split())
    return (key.id, key.org_id, key.name, f"{key.prefix}...", key.created_at, key.expires_at or "-", scopes, state)
