"""Owns asking the notifier to send dead webhooks again, and waiting for what came of it."""

import asyncio
from dataclasses import dataclass

from events.codec import encode_command
from events.topics import WEBHOOK_COMMANDS
from events.webhooks import ReplayWebhooks, WebhookReplay, WebhooksToReplay
from services.api.command_log import CommandLog, LogUnavailableError, MaybeWrittenError
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.plans import Asked
from services.api.request_identity import KEY_REUSED
from services.api.webhook_state import WebhookState
from services.api.writing import NOT_ACCEPTED, NOT_KNOWN, Refused


@dataclass(slots=True)
class WebhookReplays:
    """Holds a request for `hold_seconds` until its outcome is known (contract, "Repeats by the SDKs")."""

    log: CommandLog
    state: WebhookState
    hold_seconds: float

    async def carry_out(self, asked: Asked, which: WebhooksToReplay) -> WebhookReplay | Refused:
        """What came of it: when it is told, no list shows what is sent again as dead. Asked again, it changes nothing more.

        Raises `UnavailableError`: the log took nothing, or the outcome is not known in time and may still come.
        """
        record = encode_command(asked.command(ReplayWebhooks(ids=which.ids, all=which.all)))
        try:
            async with asyncio.timeout(self.hold_seconds):
                await self.log.append(WEBHOOK_COMMANDS, asked.org_id, [record])
                outcome = await self.state.outcome(asked.org_id, asked.command_id)
        except LogUnavailableError as error:
            raise UnavailableError(NOT_ACCEPTED) from error
        except (MaybeWrittenError, TimeoutError) as error:
            raise UnavailableError(NOT_KNOWN) from error
        if outcome.request_hash not in (None, asked.request_hash):
            return Refused(InvalidRequestError(KEY_REUSED))
        return outcome
