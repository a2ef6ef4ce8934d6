"""Owns what the users of a stack were promised: everything that was acknowledged to them, for the checker to hold against the log."""

from dataclasses import dataclass, field
from typing import NamedTuple

AMY, BOB, CY = ORGS = ("amy", "bob", "cy")
"""No name is part of what an id may hold, as `ada-` would be. Every text of an org holds the org's name."""


class Closed(NamedTuple):
    """What became of a campaign that was stopped or deleted: `over`, `archived` or `deleted`, and why it ended if the answer said so."""

    state: str
    ended_reason: str | None = None


@dataclass(slots=True)
class Edits:
    """What was asked of campaigns that exist, by their ids; each is renamed and closed once at most."""

    closed: dict[str, Closed] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    added: dict[str, int] = field(default_factory=dict)
    """How many contacts were added."""


@dataclass(slots=True)
class Promises:
    """Names are those by which campaigns were created; ids are those of campaigns or of commands."""

    acknowledged: set[str] = field(default_factory=set)
    """Names of campaigns that were answered by 201, and ids of commands that the broker acknowledged."""
    refused: set[str] = field(default_factory=set)
    """Names of campaigns of which the API said that nothing was accepted, and which were not asked for again."""
    contacts: dict[str, int] = field(default_factory=dict)
    """How many contacts a campaign was to be created with, by its name."""
    edits: Edits = field(default_factory=Edits)
    """Those that were acknowledged over HTTP."""
    commanded: dict[str, Edits] = field(default_factory=dict)
    """By the command's id: it is promised unless the log says that the command was rejected."""
    uncertain: set[str] = field(default_factory=set)
    """Campaigns, by id or name, of which the creation or an addition was not answered for good: its contacts may be on the log or not."""
    faults: list[str] = field(default_factory=list)
    """What broke a promise at once."""
