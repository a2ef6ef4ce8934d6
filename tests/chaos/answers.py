"""Owns the check of what the API answers of a quiet stack: each org its own campaigns, as the log has them, and nothing of others."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from tests.chaos.asking import HttpUser, answer_of
from tests.chaos.fold import Campaign, Fold
from tests.chaos.watch import miscounted

_PATIENCE_SECONDS = 10.0
_FIELDS = {"name": "name", "status": "status", "endedReason": "ended_reason"}


async def wrong_answers(fold: Fold, users: Mapping[str, HttpUser]) -> list[str]:
    """Answers that differ from the fold, by a read of every campaign for each user.

    Those that differ are read again for some seconds: a call of unknown outcome may end at any moment, and a provider's late report
    may kill an API.
    """
    found, until = list[str](), time.monotonic() + _PATIENCE_SECONDS
    for org, user in users.items():
        async with user.session() as http:
            for campaign in list(fold.campaigns.values()):
                while differs := await _differences(campaign, org, http):
                    if time.monotonic() > until:
                        break
                    await asyncio.sleep(0.5)
                found += differs
    return found


async def _differences(campaign: Campaign, org: str, http: aiohttp.ClientSession) -> list[str]:
    try:
        status, answer = await answer_of(http, "GET", f"/campaign/{campaign.id}")
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return [f"I8: campaign {campaign.id} is not answered to {org}: {error!r}"]
    if status == 503:
        return [f"I8: campaign {campaign.id} is answered to {org} by 503"]
    return list(wrong(campaign, status, answer, is_own=campaign.org_id == org))


def wrong(campaign: Campaign, status: int, answer: dict[str, Any], *, is_own: bool) -> Iterator[str]:
    """What one answer, to the campaign's org or to another, has otherwise than the log."""
    wanted = 200 if is_own and campaign.complete and not campaign.deleted else 404
    if status != wanted:
        yield f"{'I5' if is_own else 'I7'}: campaign {campaign.id} of {campaign.org_id} is answered by {status}, not by {wanted}"
    elif status == 200:
        shown = {name: answer.get(name) for name in _FIELDS} | {"paused": answer.get("paused", False)}
        logged = {name: getattr(campaign, own) for name, own in _FIELDS.items()} | {"paused": campaign.paused}
        calls = {call["id"]: (call["status"], call.get("endedReason")) for call in answer["calls"].values()}
        if shown != logged:
            yield f"I5: campaign {campaign.id} is answered as {shown}, the log says {logged}"
        if calls != {call.id: (call.status, call.ended_reason) for call in campaign.calls}:
            yield f"I5: the calls of campaign {campaign.id} are answered as {calls}"
        yield from miscounted(answer)
