"""Owns the envelope of everything on the topics: CloudEvents 1.0, structured JSON, lean (design, "The envelope")."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import ConfigDict, Field, StringConstraints

from events.commands import CommandData
from events.facts import Fact
from events.instants import Instant
from events.wire import Identifier, NonEmpty, Wire

RequestHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ENGINE_SOURCE = "/ringfold/engine"


class Envelope(Wire):
    """The attributes that commands and events share; `data` is validated by its type's own model.

    `requesthash` says what a user's command asks: the same id with another hash is another request, and is refused. On an event
    it is that of the command named by `causationid`, and stands on the first event of the command's answer only.
    Attributes that this release does not know are passed over, as CloudEvents asks of a consumer.
    """

    model_config = ConfigDict(alias_generator=None, extra="ignore")

    specversion: Literal["1.0"]
    id: Identifier
    source: NonEmpty
    type: Identifier
    orgid: Identifier
    subject: str | None = None
    time: Instant | None = None
    callid: str | None = None
    causationid: Identifier | None = None
    requesthash: RequestHash | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class EventRecord(TypedDict):
    """An event as it stands on the log, decoded from JSON and upcast; what the hot folds read. Times are `iso` text."""

    specversion: str
    id: str
    source: str
    type: str
    orgid: str
    subject: NotRequired[str]
    time: str
    callid: NotRequired[str]
    causationid: NotRequired[str]
    requesthash: NotRequired[str]
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was read: who asks (`org_id`), of which campaign and call, and what; `request_hash` where it was sent along."""

    id: str
    org_id: str
    data: CommandData
    source: str
    campaign_id: str | None = None
    call_id: str | None = None
    request_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A fact with where it belongs; `at` never goes back within a partition. `causation_id` is the id of the command that caused it."""

    org_id: str
    at: datetime
    data: Fact
    campaign_id: str | None = None
    call_id: str | None = None
    causation_id: str | None = None
    request_hash: str | None = None
