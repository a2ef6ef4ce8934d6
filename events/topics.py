"""Owns the names and the configuration of every Kafka topic; the only place that names them."""

from dataclasses import dataclass
from datetime import timedelta

COMMANDS_KEPT = timedelta(days=30)
"""For how long a command stands on the log at least."""
_SEGMENT = timedelta(days=1)
COMMAND_IDS_KEPT = COMMANDS_KEPT + _SEGMENT + timedelta(days=1)
"""How long the ids of handled commands are remembered: longer than any command stands on the log, so that one that is read again is known.

Kafka removes whole segments, by their newest record; the second day is for its looking at them now and then, and for clocks that differ.
"""
_COMMANDS_KEPT_MS = COMMANDS_KEPT // timedelta(milliseconds=1)
_SEGMENT_MS = _SEGMENT // timedelta(milliseconds=1)
_MIB = 1024 * 1024
OUTSIDE = "any producer outside"

MAX_COMMAND_BYTES = _MIB
MAX_EVENT_BYTES = 2 * _MIB


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: what its records are keyed by, how long they are kept, and who alone writes it.

    The engine writes to the topics of commands only what others put on the wrong partition.

    `retention_ms` is in milliseconds, `None` means for ever. With `segment_ms` no record stays longer beyond that, and the
    broker's clock counts, not a producer's: a wrong one would keep the records beside its own, or have its own removed unread.
    All topics have the same number of partitions, so that one number names an org's commands, facts and summaries alike.
    """

    name: str
    key: str
    holds: str
    writers: tuple[str, ...]
    retention_ms: int | None
    max_message_bytes: int
    compacted: bool = False
    segment_ms: int | None = None


CAMPAIGN_COMMANDS = Topic(
    name="campaign-commands",
    key="orgId",
    holds="what users ask",
    writers=("api", "engine", OUTSIDE),
    retention_ms=_COMMANDS_KEPT_MS,
    max_message_bytes=MAX_COMMAND_BYTES,
    segment_ms=_SEGMENT_MS,
)
CALL_COMMANDS = Topic(
    name="call-commands",
    key="orgId",
    holds="what our services report of calls",
    writers=("dialer", "api", "engine"),
    retention_ms=_COMMANDS_KEPT_MS,
    max_message_bytes=MAX_COMMAND_BYTES,
    segment_ms=_SEGMENT_MS,
)
CAMPAIGN_EVENTS = Topic(
    name="campaign-events",
    key="orgId",
    holds="facts",
    writers=("engine",),
    retention_ms=None,
    max_message_bytes=MAX_EVENT_BYTES,
)
CAMPAIGN_COMMANDS_DEAD = Topic(
    name="campaign-commands-dead",
    key="as read",
    holds="commands that could not be handled, with reason, topic, partition and offset in headers",
    writers=("engine",),
    retention_ms=_COMMANDS_KEPT_MS,
    max_message_bytes=MAX_EVENT_BYTES,
)
CAMPAIGN_STATE = Topic(
    name="campaign-state",
    key="campaignId",
    holds="the newest summary of each campaign",
    writers=("projector",),
    retention_ms=None,
    max_message_bytes=MAX_COMMAND_BYTES,
    compacted=True,
)
WEBHOOK_COMMANDS = Topic(
    name="webhook-commands",
    key="orgId",
    holds="what users ask of webhooks",
    writers=("api",),
    retention_ms=_COMMANDS_KEPT_MS,
    max_message_bytes=MAX_COMMAND_BYTES,
    segment_ms=_SEGMENT_MS,
)
WEBHOOK_STATE = Topic(
    name="webhook-state",
    key="webhookId or the command's id",
    holds="the webhooks that are dead, and what came of the commands",
    writers=("notifier",),
    retention_ms=None,
    max_message_bytes=MAX_COMMAND_BYTES,
    compacted=True,
)

ALL = (CAMPAIGN_COMMANDS, CALL_COMMANDS, CAMPAIGN_EVENTS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_STATE, WEBHOOK_COMMANDS, WEBHOOK_STATE)
