"""Owns the commands beside the service: the signing secret of an org, and the dead webhooks, listed and sent again."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from events.instants import iso
from services.notifier.bootstrap import own_store
from services.notifier.outbox import Outbox
from services.notifier.settings import NotifierSettings
from services.runtime.clock import Clock
from services.runtime.errors import StartupError
from services.runtime.webhook_signing import org_secret


def run_command(arguments: list[str], clock: Clock) -> int:
    """The exit code; what was asked for goes to standard output, one line that says what is wrong to standard error."""
    asked = _parser().parse_args(arguments)
    try:
        settings = NotifierSettings.load()
        if asked.command == "secret":
            sys.stdout.write(org_secret(settings.webhook_key(), asked.org) + "\n")
            return 0
        return asyncio.run(_dead(asked, settings, clock))
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.notifier", description="Webhooks; without a command the service runs.")
    commands = parser.add_subparsers(dest="command", required=True)
    secret = commands.add_parser("secret", help="print the secret that an org's webhooks are signed with")
    secret.add_argument("--org", required=True)
    dead = commands.add_parser("dead", help="webhooks that were given up").add_subparsers(dest="action", required=True)
    listing = dead.add_parser("list", help="id, org, campaign, number, name, since when, attempts and last error of each")
    listing.add_argument("--org")
    replay = dead.add_parser("replay", help="send them again, under the same ids")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("ids", nargs="*", default=[], metavar="ID")
    which.add_argument("--org")
    which.add_argument("--all", action="store_true")
    return parser


async def _dead(asked: argparse.Namespace, settings: NotifierSettings, clock: Clock) -> int:
    async with own_store(settings) as database:
        outbox = Outbox(database)
        if asked.action == "replay":
            revived = await outbox.replay(clock.now().timestamp(), asked.ids or None, asked.org)
            sys.stdout.write(f"{revived}\n")
            return 0 if revived else 1
        for row in await outbox.dead(asked.org):
            since = iso(datetime.fromtimestamp(row["enqueued_at"], UTC))
            cells = (row["id"], row["org_id"], row["campaign_id"], row["sequence"], row["name"], since, row["failures"], row["last_error"])
            sys.stdout.write("\t".join(map(str, cells)) + "\n")
    return 0
