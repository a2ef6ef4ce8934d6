"""At most one call at the provider for each attempt, whatever is killed, late, doubled or refused."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from events.commands import ClaimCall, DialOutcome
from services.dialer.provider import Answer, NotPlaced, Placed, Refused, Unknown
from tests.dialer.given import Given, call_id, settle, task

TASKS = [task(number) for number in range(3)]
ANSWERS: list[Answer] = [Placed("p"), Refused("call.start.error-x", "e"), NotPlaced("e"), Unknown("e")]


class Dialing(RuleBasedStateMachine):
    """One dialer life after the other, an engine that grants as the design says, and a log that is read late and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.life = Given(*TASKS)
        self.sweeping = self.loop.create_task(self.life.dispatcher.run())
        self.decided = 0
        self.granted: dict[str, str] = {}
        self.grants: list[str] = []

    def act(self, work: Coroutine[Any, Any, object]) -> None:
        async def and_settle() -> None:
            await work
            await settle()

        self.loop.run_until_complete(and_settle())

    @rule(number=st.integers(0, 2))
    def a_call_is_queued(self, number: int) -> None:
        async def begin() -> None:
            self.taking_up = asyncio.create_task(self.life.queued(number))

        self.act(begin())

    @rule()
    def the_engine_decides(self) -> None:
        commands = self.life.commands.written
        for command in commands[self.decided :]:
            call = command.call_id or ""
            match command.data:
                case ClaimCall(valid_until=valid_until) if call not in self.granted and valid_until > self.life.clock.now():
                    self.granted[call] = command.id
                    self.grants.append(command.id)
                case DialOutcome(outcome="not-placed", claim_id=claim_id) if self.granted.get(call) == claim_id:
                    del self.granted[call]
        self.decided = len(commands)

    @precondition(lambda self: self.life.claims())
    @rule(back=st.integers(0, 5))
    def a_claim_is_on_the_log_once_more(self, back: int) -> None:
        """As when its append was not acknowledged."""
        claims = self.life.claims()
        self.life.commands.written.append(claims[-1 - back % len(claims)])

    @rule(number=st.integers(0, 2), answer=st.sampled_from(ANSWERS))
    def a_call_is_queued_and_the_log_is_read(self, number: int, answer: Answer) -> None:
        self.life.provider.answer = answer
        self.a_call_is_queued(number)
        known = len(self.grants)
        self.the_engine_decides()
        for claim_id in self.grants[known:]:
            self.act(self.life.granted(claim_id))

    @precondition(lambda self: self.grants)
    @rule(back=st.integers(0, 5))
    def a_grant_is_read(self, back: int) -> None:
        """Late, or once more."""
        self.act(self.life.granted(self.grants[-1 - back % len(self.grants)]))

    @rule(seconds=st.sampled_from([1, 10, 31]))
    def time_passes(self, seconds: int) -> None:
        self.life.clock.move(seconds=seconds)
        self.act(settle())

    @rule(held=st.sampled_from(["provider", "log", "nothing"]))
    def what_is_outside_is_held_up(self, held: str) -> None:
        for name, gate in (("provider", self.life.provider.may_answer), ("log", self.life.commands.works)):
            (gate.clear if name == held else gate.set)()
        self.act(settle())

    @rule(cleanly=st.booleans())
    def the_dialer_ends_and_another_starts(self, cleanly: bool) -> None:
        if cleanly and self.life.commands.works.is_set():
            self.act(self.life.dispatcher.close(0.001))
            assert self.life.dispatcher.held == 0
        for work in asyncio.all_tasks(self.loop):
            work.cancel()
        self.act(settle())
        self.life = Given(*TASKS, before=self.life)
        self.sweeping = self.loop.create_task(self.life.dispatcher.run())

    @invariant()
    def the_provider_has_no_call_twice(self) -> None:
        assert all(self.life.provider.has[call_id(number)] <= 1 for number in range(3))

    def teardown(self) -> None:
        for work in asyncio.all_tasks(self.loop):
            work.cancel()
        self.act(settle())
        self.loop.close()


TestDialing = Dialing.TestCase
TestDialing.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
