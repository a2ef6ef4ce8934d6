"""Owns the words of the decider's tests: a world that is given commands and time, and says what became fact."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from events import commands
from events.codec import decode_event, encode_event
from events.commands import CommandData
from events.envelope import Command, Event
from events.ids import call_id_of, campaign_id_of
from services.engine.decider.advance import advance
from services.engine.decider.decide import decide
from services.engine.decider.evolve import evolve
from services.engine.decider.policy import Policy
from services.engine.decider.state import CallState, CampaignState, PartitionState

T0 = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)
ORG = "org-1"


def customers(count: int) -> list[dict[str, Any]]:
    return [{"number": f"+1415555{i:04d}"} for i in range(count)]


def draft(count: int = 3, **fields: Any) -> commands.CreateCampaign:
    return commands.CreateCampaign.model_validate(
        {"name": "Spring", "assistantId": "a-1", "phoneNumberId": "p-1", "customers": customers(count), **fields}
    )


@dataclass
class World:
    """The engine's core on a clock that the test moves; `log` holds every fact in order."""

    policy: Policy = field(default_factory=Policy)
    now: datetime = T0
    state: PartitionState = field(default_factory=PartitionState)
    log: list[Event] = field(default_factory=list)
    asked: int = 0

    def do(
        self,
        data: CommandData,
        campaign_id: str | None = None,
        call_id: str | None = None,
        org: str = ORG,
        id: str | None = None,
        request_hash: str | None = None,
    ) -> list[Event]:
        """Give a command and let the engine go on until nothing is left to decide; the events of both."""
        self.asked += 1
        command = Command(id or f"command-{self.asked}", org, data, "/tests", campaign_id, call_id, request_hash)
        decided = decide(self.state, command, self.now, self.policy)
        for event in decided:
            evolve(self.state, event)
        self.log += decided
        return [*decided, *self.settle()]

    def create(self, count: int = 3, org: str = ORG, id: str | None = None, **fields: Any) -> str:
        id = id or f"create-{self.asked}"
        self.do(draft(count, **fields), org=org, id=id)
        return campaign_id_of(org, id)

    def settle(self, limit: int = 5_000) -> list[Event]:
        events = []
        while step := advance(self.state, self.now, self.policy, limit):
            assert len(step) <= limit
            events += step
        self.log += events
        return events

    def after(self, **span: float) -> list[Event]:
        self.now += timedelta(**span)
        return self.settle()

    def campaign(self, campaign_id: str) -> CampaignState:
        return self.state.campaigns[campaign_id]

    def active(self, campaign_id: str) -> list[CallState]:
        return list(self.campaign(campaign_id).calls.values())

    def claim(self, call: CallState, claim: str = "", org: str = ORG, valid: float = 30) -> list[Event]:
        until = self.now + timedelta(seconds=valid)
        data = commands.ClaimCall(attempt=call.attempt, claimant="dialer-1", valid_until=until, provider="sim")
        return self.do(data, call.campaign_id, call.id, org, id=claim or f"claim-{call.id}")

    def outcome(self, call: CallState, outcome: Any = "placed", claim: str | None = "", **fields: Any) -> list[Event]:
        claim_id = f"claim-{call.id}" if claim == "" else claim
        data = commands.DialOutcome(attempt=call.attempt, claim_id=claim_id, outcome=outcome, **fields)
        return self.do(data, call.campaign_id, call.id)

    def report(self, call: CallState, status: Any, org: str = ORG, **fields: Any) -> list[Event]:
        data = commands.ReportCall(attempt=call.attempt, status=status, **fields)
        return self.do(data, call.campaign_id, call.id, org)

    def dial(self, call: CallState) -> list[Event]:
        return [*self.claim(call), *self.outcome(call)]

    def finish(self, call: CallState, reason: str = "customer-ended-call") -> list[Event]:
        self.dial(call)
        return self.report(call, "ended", ended_reason=reason, final=True)

    def run_out(self, campaign_id: str) -> None:
        while self.active(campaign_id):
            self.finish(self.active(campaign_id)[0])


def names(events: list[Event]) -> list[str]:
    """The events' names without their version."""
    return [event.data.type_name.split(".")[0] for event in events]


def reasons(events: list[Event]) -> list[str]:
    return [event.data.ended_reason for event in events if names([event]) == ["CallEnded"]]  # type: ignore[attr-defined]


def through_the_log(events: list[Event]) -> PartitionState:
    """The state of an engine that reads these events from the log."""
    state = PartitionState()
    for number, event in enumerate(events):
        evolve(state, decode_event(encode_event(event, f"e-{number}")))
    return state


__all__ = ["ORG", "T0", "World", "call_id_of", "customers", "draft", "names", "reasons", "through_the_log"]
