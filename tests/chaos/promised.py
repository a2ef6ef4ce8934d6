"""Owns the check of I1: what was acknowledged is on the log, once and whole, and what was refused is not."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.fold import Campaign, Fold
from tests.chaos.promises import Closed, Edits, Promises

_REJECTED = "CommandRejected.v1"


def unanswered(fold: Fold, promises: Promises) -> Iterator[str]:
    """What was acknowledged and has no outcome on the log (yet)."""
    names = {campaign.created_name for campaign in fold.campaigns.values()}
    for acknowledged in promises.acknowledged:
        if acknowledged not in names and acknowledged not in fold.answered:
            yield f"I1: {acknowledged} was acknowledged and is not on the log"


def broken_promises(fold: Fold, promises: Promises) -> Iterator[str]:
    """Everything promised that a log read to its end breaks."""
    kept = [promises.edits, *(asked for id, asked in promises.commanded.items() if _REJECTED not in fold.answered.get(id, ()))]
    yield from unanswered(fold, promises)
    yield from _creations(fold, promises)
    yield from _contacts(fold, promises, kept)
    for edits in kept:
        yield from _edits(fold, edits)


def _creations(fold: Fold, promises: Promises) -> Iterator[str]:
    created = Counter(campaign.created_name for campaign in fold.campaigns.values())
    for name in promises.refused:
        if created[name]:
            yield f"I1: {name} was answered by 503 as not accepted, and was created"
    yield from (f"I1: {name} was created {count} times" for name, count in created.items() if count > 1)


def _contacts(fold: Fold, promises: Promises, kept: list[Edits]) -> Iterator[str]:
    added = sum((Counter(edits.added) for edits in kept), Counter[str]())
    for campaign in fold.campaigns.values():
        was_given_up = campaign.deleted and not campaign.complete
        if was_given_up or not promises.uncertain.isdisjoint((campaign.id, campaign.created_name)):
            continue
        wanted = promises.contacts[campaign.created_name] + added[campaign.id]
        if len(campaign.calls) != wanted or not campaign.complete:
            yield f"I1: campaign {campaign.id} has {len(campaign.calls)} calls, {wanted} contacts were asked for"


def _edits(fold: Fold, edits: Edits) -> Iterator[str]:
    for campaign_id in edits.closed.keys() | edits.renamed.keys():
        campaign, closed, name = fold.campaigns.get(campaign_id), edits.closed.get(campaign_id), edits.renamed.get(campaign_id)
        if campaign is None:
            yield f"I1: campaign {campaign_id}, whose edit was acknowledged, is not on the log"
        elif closed is not None and not _is_closed(campaign, closed):
            yield f"I1: campaign {campaign_id} was acknowledged as {closed}, the log has {campaign.status}, {campaign.ended_reason}"
        elif name is not None and campaign.name != name:
            yield f"I1: campaign {campaign_id} was renamed to {name}, the log has {campaign.name}"


def _is_closed(campaign: Campaign, closed: Closed) -> bool:
    if closed.ended_reason is not None and campaign.ended_reason != closed.ended_reason:
        return False
    if closed.state == "deleted":
        return campaign.deleted
    return campaign.status == "archived" if closed.state == "archived" else campaign.status in ("ended", "cancelled", "archived")
