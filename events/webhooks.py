"""Owns what is said of webhooks on the topics: which are dead, that they shall be sent again, and what came of that."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from events.commands import CommandData
from events.contacts import broken
from events.instants import Instant
from events.wire import Identifier, Opaque, WholeNumber, Wire

MAX_REPLAYED_IDS = 1_000
_Count = Annotated[WholeNumber, Field(ge=0)]


class WebhooksToReplay(Wire):
    """Which dead webhooks shall be sent again: these, or all of the org. Ids that are not dead there count as absent."""

    ids: Annotated[list[Identifier], Field(min_length=1, max_length=MAX_REPLAYED_IDS)] | None = None
    all: bool | None = None

    @model_validator(mode="after")
    def _rules(self) -> "WebhooksToReplay":
        messages = ["exactly one of ids or all is required"] if (self.ids is None) == (self.all is None) else []
        messages += ["all must be true"] if self.all is False else []
        if messages:
            raise broken(messages)
        return self


class ReplayWebhooks(WebhooksToReplay, CommandData):
    """Send dead webhooks of the org again, under the same ids, as if they were new; the same command again changes nothing."""

    type_name = "ReplayWebhooks.v1"
    without_subject = "it is of no single campaign"


WEBHOOK_COMMAND_TYPES: dict[str, type[CommandData]] = {ReplayWebhooks.type_name: ReplayWebhooks}


class DeadWebhook(Wire):
    """A webhook that was given up; its record has no value once it is sent again.

    `id` is its `webhook-id`, `message` what was sent, `lastError` why the last of the `attempts` failed.
    """

    id: Identifier
    org_id: Identifier
    campaign_id: str
    sequence: _Count
    event_type: str
    message: Opaque
    attempts: _Count
    last_error: str
    queued_at: Instant
    dead_at: Instant


class WebhookReplay(Wire):
    """What came of the command with this `id`: how many webhooks were dead and are sent again. Kept as long as commands are.

    `requestHash` is the command's, by which another request under the same id is told from a repeat.
    """

    id: Identifier
    org_id: Identifier
    request_hash: str | None = None
    replayed: _Count


def read_webhook_state(record: dict[str, Any]) -> DeadWebhook | WebhookReplay:
    """A record of `webhook-state`, tolerant of fields added later; raises pydantic's `ValidationError`."""
    model = WebhookReplay if "replayed" in record else DeadWebhook
    return model.model_validate(record, extra="ignore", by_alias=True, by_name=False)
