"""Owns the independent check of I1 to I9 after a round: from the log, the database, the API and what provider and receivers counted."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.reading import read_events
from projections.store.dump import dump
from projections.store.engine import open_database
from projections.store.port import Applied
from projections.store.sql_store import SqlProjectionStore
from tests.chaos.answers import wrong_answers
from tests.chaos.fold import Fold
from tests.chaos.load import Users
from tests.chaos.promised import broken_promises, unanswered
from tests.chaos.promises import ORGS
from tests.chaos.stack import ChaosStack

_CALL_COLUMNS = ("status", "contact_status", "attempt", "claim_id", "claimant", "outcome_unknown", "ended_reason", "started_at", "ended_at")
_CAMPAIGN_COLUMNS = ("status", "ended_reason", "paused", "deleted", "complete", "started_at", "ended_at")


async def pending(stack: ChaosStack, users: Users) -> str | None:
    """What I8 and I9 still wait for; `None` when the stack is quiet."""
    if not await stack.sight.is_at_the_end():
        return "the log is not read to its end"
    fold = stack.sight.fold
    for call in fold.unsettled():
        return call
    if missing := next(unanswered(fold, users.promises), None):
        return missing
    offsets = await _offsets(stack.database.seen)
    for partition, last in stack.sight.last_offsets().items():
        if offsets.get(partition, 0) <= last:
            return f"the read model stands at {offsets.get(partition, 0)} of partition {partition}, whose last event is {last}"
    for campaign in fold.campaigns.values():
        got = len(stack.receiver.sequences.get(campaign.id, ()))
        if got < len(campaign.told):
            return f"{got} of {len(campaign.told)} webhooks of campaign {campaign.id} came"
    if lacks := await stack.not_ready():
        return "; ".join(lacks)
    return None


async def _offsets(database: AsyncEngine) -> dict[int, int]:
    try:
        async with database.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(text("SELECT partition, next_offset FROM offsets"))}
    except (SQLAlchemyError, OSError):
        return {}


async def violations(stack: ChaosStack, users: Users, directory: Path) -> list[str]:
    """Everything that is broken, in a quiet stack; empty when all holds."""
    fold, found = stack.sight.fold, list[str]()
    found += [*fold.faults, *stack.sight.faults, *users.promises.faults, *stack.receiver.faults]
    found += broken_promises(fold, users.promises)
    found += _posts(stack)
    found += _crowds(stack)
    found += _attempts(fold)
    found += await _rows(stack)
    found += await _bytes(stack, directory)
    found += _webhooks(stack)
    found += await wrong_answers(fold, users.http)
    return found


def _posts(stack: ChaosStack) -> Iterator[str]:
    fold = stack.sight.fold
    asked = Counter((post.call_id, post.attempt) for post in stack.phone.posts)
    for (call_id, attempt), count in asked.items():
        claims = fold.calls[call_id].claims[attempt] if call_id in fold.calls else 0
        if count > claims:
            yield f"I2: the provider was asked {count} times for attempt {attempt} of call {call_id}, of which {claims} claims were granted"
    yield from (f"I2: call {call_id} was dialed {count} times" for call_id, count in doubled_dials(stack).items())
    for post in stack.phone.posts:
        if post.call_id in fold.calls and fold.calls[post.call_id].org_id != post.org_id:
            yield f"I7: a call of {fold.calls[post.call_id].org_id} was dialed for {post.org_id}"


def _attempts(fold: Fold) -> Iterator[str]:
    """No campaign here asks for retries, so whatever the provider does, waiting uses no attempt up."""
    yield from (f"degradation: call {call.id} came to attempt {call.attempt}" for call in fold.calls.values() if call.attempt > 1)


def _crowds(stack: ChaosStack) -> Iterator[str]:
    fold = stack.sight.fold
    limits = {campaign.id: campaign.limit for campaign in fold.campaigns.values()}
    for name, most in stack.phone.most_at_once.items():
        if most > limits.get(name, fold.org_limit):
            yield f"I3: {name} had {most} calls at once at the provider"


def doubled_dials(stack: ChaosStack) -> dict[str, int]:
    """Calls that the provider took more than once in one attempt."""
    taken = Counter((post.call_id, post.attempt) for post in stack.phone.posts if post.taken)
    return {call_id: count for (call_id, _), count in taken.items() if count > 1}


async def _rows(stack: ChaosStack) -> list[str]:
    """I4 and I5 by the checker's own fold."""
    fold, found = stack.sight.fold, list[str]()
    async with stack.database.seen.connect() as connection:
        campaigns = {row["id"]: row for row in (await connection.execute(text("SELECT * FROM campaigns"))).mappings()}
        calls = {row["id"]: row for row in (await connection.execute(text("SELECT * FROM calls"))).mappings()}
    for kind, expected, rows in (("campaign", set(fold.campaigns), set(campaigns)), ("call", set(fold.calls), set(calls))):
        found += [f"I5: {kind} {identifier} is on the log only" for identifier in expected - rows]
        found += [f"I5: {kind} {identifier} is in the read model only" for identifier in rows - expected]
    row: Any
    for campaign in fold.campaigns.values():
        row = campaigns.get(campaign.id, {})
        found += _differences("I5", f"campaign {campaign.id}", {name: getattr(campaign, name) for name in _CAMPAIGN_COLUMNS}, row)
        found += _differences("I4", f"campaign {campaign.id}", campaign.counters(), row)
    for call in fold.calls.values():
        wanted = {name: getattr(call, name) for name in _CALL_COLUMNS}
        if call.status == "ended" and call.claim_id is None:
            del wanted["claim_id"], wanted["claimant"]
        found += _differences("I5", f"call {call.id}", wanted, calls.get(call.id, {}))
    return found


def _differences(which: str, what: str, wanted: dict[str, Any], row: Any) -> Iterator[str]:
    for name, value in wanted.items():
        if name in row and row[name] != value:
            yield f"{which}: {what} has {name} {row[name]!r}, the log says {value!r}"


async def _bytes(stack: ChaosStack, directory: Path) -> list[str]:
    """I5 byte for byte: the log folded anew, in one batch, into an empty database."""
    reference = open_database(f"sqlite:///{directory / 'reference.sqlite'}")
    (directory / "reference.sqlite").unlink(missing_ok=True)
    store = SqlProjectionStore(reference, publishes=False)
    try:
        await store.ensure_schema()
        for partition, records in stack.sight.records.items():
            outcome = await store.apply(partition, 0, records[-1][0] + 1, read_events([value for _, value in records]))
            assert isinstance(outcome, Applied)
        wanted = await _lines(dump(reference))
    finally:
        await store.close()
        await reference.dispose()
    live = await _lines(dump(stack.database.seen))
    missing, extra = Counter(wanted) - Counter(live), Counter(live) - Counter(wanted)
    if not missing and not extra:
        return []
    told = [f"I5: the reference has {line.decode()[:400]}" for line in missing] + [
        f"I5: the database has {line.decode()[:400]}" for line in extra
    ]
    return told[:6]


async def _lines(dumped: AsyncIterator[bytes]) -> list[bytes]:
    return [line async for line in dumped]


def _webhooks(stack: ChaosStack) -> Iterator[str]:
    fold = stack.sight.fold
    for campaign in fold.campaigns.values():
        numbered = stack.receiver.sequences.get(campaign.id, {})
        if sorted(numbered) != list(range(1, len(campaign.told) + 1)):
            yield f"I9: campaign {campaign.id} must tell {len(campaign.told)} messages, these numbers came: {sorted(numbered)}"
            continue
        for number, name in enumerate(campaign.told, 1):
            if f'"{name}"'.encode() not in stack.receiver.bodies[numbered[number]]:
                yield f"I9: message {number} of campaign {campaign.id} must be {name}"
    for org, bodies in stack.receiver.by_org.items():
        foreign = [other for other in ORGS if other != org and any(f"{other}-".encode() in body for body in bodies)]
        yield from (f"I7: {org} was told something of {other}" for other in foreign)
        own = {campaign.id for campaign in fold.campaigns.values() if campaign.org_id != org}
        if any(campaign_id.encode() in body for campaign_id in own for body in bodies):
            yield f"I7: {org} was told of a campaign of another org"
