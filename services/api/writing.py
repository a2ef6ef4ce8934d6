"""Owns a write from its plan to what it came to: appended, its outcome awaited, and known to the read model.

The rules are the contract's, "Repeats by the SDKs".
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from events.campaigns import OVER
from events.topics import CAMPAIGN_COMMANDS
from projections.campaign_progress.rows import CampaignRow
from projections.errors import FoldError
from projections.queries.read_model import ReadModel, ReadModelAwayError
from projections.queries.views import Rejection
from services.api.command_log import CommandLog, LogUnavailableError, MaybeWrittenError
from services.api.errors import InvalidRequestError, NotFoundError, UnavailableError
from services.api.event_log import EventLog, LogAwayError
from services.api.expectations import Expectation, Expectations, Outcome
from services.api.freshness import Freshness
from services.api.log_answers import FoldedCampaign, LogAnswers
from services.api.plans import Plan

_log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK_AGAIN_SECONDS = 0.02
_RECORDS_AHEAD = 4
"""Of an upload, that are in the log before the engine has decided on them; each holds up to 4,000 contacts."""
NOT_ACCEPTED = "the log can not take the request now"
NOT_KNOWN = "the outcome is not known yet; the same request, repeated, joins this one"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A plan was accepted. `folded` holds the campaign where the read model is away, otherwise the read model shows it."""

    row: CampaignRow
    folded: FoldedCampaign | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A plan that the engine rejected, for good."""

    error: NotFoundError | InvalidRequestError


@dataclass(slots=True)
class Writer:
    """Carries plans out. Spans are in seconds: `hold` for all of it, `patience` for the read model to know the outcome.

    `upload_seconds` stands for both where the plan is an upload.
    """

    log: CommandLog
    events: EventLog
    expectations: Expectations
    freshness: Freshness
    read_model: ReadModel
    log_answers: LogAnswers
    hold_seconds: float
    patience_seconds: float
    upload_seconds: float
    max_waiting: int
    waiting: int = field(default=0)

    async def carry_out(self, plan: Plan) -> Accepted | Refused:
        """What the plan came to. Carried out again, the same plan is answered the same and changes nothing more.

        Raises `UnavailableError`: the log took nothing, or the outcome is not known in time and may still come.
        """
        if self.waiting >= self.max_waiting:
            raise UnavailableError(NOT_ACCEPTED)
        self.waiting += 1
        try:
            async with asyncio.timeout(self.upload_seconds if plan.is_upload else self.hold_seconds):
                return await self._carry_out(plan)
        except TimeoutError as error:
            raise UnavailableError(NOT_KNOWN) from error
        finally:
            self.waiting -= 1

    async def _carry_out(self, plan: Plan) -> Accepted | Refused:
        if not self.events.is_followed:
            raise UnavailableError(NOT_ACCEPTED)
        with self.expectations.expecting(plan) as expectation:
            try:
                if plan.is_upload:
                    await self._append_in_step(plan, expectation)
                else:
                    await self.log.append(CAMPAIGN_COMMANDS, plan.org_id, plan.records)
            except LogUnavailableError as error:
                raise UnavailableError(NOT_ACCEPTED) from error
            except MaybeWrittenError as error:
                raise UnavailableError(NOT_KNOWN) from error
            outcome = await expectation.outcome
        if outcome.reason is not None:
            return await self._refused(plan, outcome)
        return await self._answer(plan, outcome)

    async def _append_in_step(self, plan: Plan, expectation: Expectation) -> None:
        """A few records ahead of the engine and the read model, so that others on the partition wait behind those few only.

        A record that the engine rejected is the last. Raises as `CommandLog.append` does.
        """
        for number, record in enumerate(plan.records):
            await expectation.until_decided(number - _RECORDS_AHEAD)
            if expectation.outcome.done():
                return
            with suppress(TimeoutError, ReadModelAwayError):
                async with asyncio.timeout(self.patience_seconds):
                    await self.freshness.reached(expectation.partition, expectation.next_offset)
            try:
                await self.log.append(CAMPAIGN_COMMANDS, plan.org_id, [record])
            except LogUnavailableError as error:
                if number:
                    raise MaybeWrittenError("only a part of the commands may be in the log") from error
                raise

    async def _refused(self, plan: Plan, outcome: Outcome) -> Refused:
        rejection = Rejection(outcome.reason or "", outcome.messages)
        if outcome.rejected_id is not None:
            rejection = await self._first_rejection(plan, outcome, outcome.rejected_id)
        if rejection.reason == "not-found":
            return Refused(NotFoundError(f"campaign {plan.campaign_id} does not exist"))
        return Refused(InvalidRequestError(rejection.messages))

    async def _first_rejection(self, plan: Plan, outcome: Outcome, command_id: str) -> Rejection:
        try:
            async with asyncio.timeout(self.patience_seconds):
                await self.freshness.reached(outcome.partition, outcome.next_offset)
            known = await self.read_model.rejection(plan.org_id, command_id)
        except (TimeoutError, ReadModelAwayError):
            known = None
        if known is None:
            known = await self._from_log(self.log_answers.rejection(outcome.partition, plan.org_id, command_id, outcome.next_offset))
        if known is None:
            raise UnavailableError(NOT_KNOWN)
        return known

    async def _answer(self, plan: Plan, outcome: Outcome) -> Accepted | Refused:
        try:
            async with asyncio.timeout(self.upload_seconds if plan.is_upload else self.patience_seconds):
                await self.freshness.reached(outcome.partition, outcome.next_offset)
                row = await self.read_model.campaign(plan.org_id, plan.campaign_id, deleted=True)
        except (TimeoutError, ReadModelAwayError) as error:
            if plan.is_upload:
                raise UnavailableError(NOT_KNOWN) from error
            _log.warning("the read model is away, an answer is built from the events", extra={"action": "answer-from-log"})
            return await self._answer_from_log(plan, outcome)
        if row is None:
            return Refused(NotFoundError(f"campaign {plan.campaign_id} does not exist"))
        return Accepted(row if plan.creates else await self._drained(plan, row))

    async def _drained(self, plan: Plan, row: CampaignRow) -> CampaignRow:
        """After a stop the pending calls end in pieces: the row when all have, or as it is after a while."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                while row.calls_scheduled and (row.deleted or row.status in OVER):
                    await self.freshness.clock.sleep(_LOOK_AGAIN_SECONDS)
                    row = await self.read_model.campaign(plan.org_id, plan.campaign_id, deleted=True) or row
        except (TimeoutError, ReadModelAwayError):
            _log.warning("a stop is answered before all pending calls have ended", extra={"action": "answer-early"})
        return row

    async def _answer_from_log(self, plan: Plan, outcome: Outcome) -> Accepted:
        """A creation's events begin with the first that names it; unless it was repeated, when they are older."""
        folded = None
        if plan.creates:
            folded = await self._fold(plan, outcome, outcome.first_offset)
        folded = folded or await self._fold(plan, outcome, 0)
        if folded is None:
            raise UnavailableError(NOT_KNOWN)
        return Accepted(folded.row, folded)

    async def _fold(self, plan: Plan, outcome: Outcome, first_offset: int) -> FoldedCampaign | None:
        reading = self.log_answers.campaign(outcome.partition, plan.campaign_id, first_offset, outcome.next_offset)
        try:
            return await self._from_log(reading)
        except FoldError:
            # the campaign's beginning is older: the command is a repeat
            return None

    async def _from_log(self, reading: Awaitable[T]) -> T:
        try:
            return await reading
        except LogAwayError as error:
            raise UnavailableError(NOT_KNOWN) from error
