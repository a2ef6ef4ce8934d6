"""How a provider that is unwell or over its limit is spared, each by itself."""

import asyncio
from collections import Counter

from prometheus_client import CollectorRegistry

from services.dialer.lines import Lines, new_line
from services.dialer.metrics import DialerMetrics
from services.dialer.pacing import Pacing
from services.dialer.provider import NotPlaced, Placed
from tests.dialer.given import Given, ProviderByHand, begun, claimed, no_jitter, settle, task
from tests.support.clock import ManualClock


async def passes(clock: ManualClock, seconds: float) -> None:
    for _ in range(round(seconds / 0.05)):
        clock.move(seconds=0.05)
        await settle()


async def turns_in(pacing: Pacing, clock: ManualClock, seconds: float, waiting: int = 1_000) -> int:
    """How many of those who wait got their turn while so much time passed."""
    turns = [asyncio.create_task(pacing.turn()) for _ in range(waiting)]
    await settle()
    await passes(clock, seconds)
    given = sum(turn.done() for turn in turns)
    for turn in turns:
        turn.cancel()
    await asyncio.gather(*turns, return_exceptions=True)
    return given


async def test_no_more_calls_a_second_are_placed_than_configured() -> None:
    clock = ManualClock()
    assert await turns_in(Pacing(clock, 10), clock, 2) in (20, 21)


async def test_too_many_halves_the_pace_and_it_recovers_by_itself_to_what_is_configured() -> None:
    clock = ManualClock()
    pacing = Pacing(clock, 10)
    await turns_in(pacing, clock, 2)
    pacing.slow_down()
    assert pacing.per_second is not None
    assert 4 <= pacing.per_second <= 6
    for _ in range(100):
        pacing.taken()
    assert pacing.per_second == 10


async def test_without_a_configured_pace_too_many_brings_one_that_goes_again() -> None:
    clock = ManualClock()
    pacing = Pacing(clock)
    for _ in range(40):
        await pacing.turn()
    assert pacing.per_second is None
    pacing.slow_down()
    assert pacing.per_second == 20
    for _ in range(40_000):
        pacing.taken()
    assert pacing.per_second is None


async def test_it_never_stops_by_itself() -> None:
    pacing = Pacing(ManualClock(), 0.5)
    for _ in range(20):
        pacing.slow_down()
    assert pacing.per_second == 0.5


async def test_a_stop_lets_everyone_go_who_waits_for_a_turn() -> None:
    clock = ManualClock()
    pacing = Pacing(clock, 0.1)
    pacing.end()
    assert await turns_in(pacing, clock, 0, waiting=5) == 5


async def test_who_is_hindered_when_the_turn_comes_takes_none_from_those_behind() -> None:
    clock = ManualClock()
    pacing = Pacing(clock, 1)
    await pacing.turn()
    late = [asyncio.create_task(pacing.turn(lambda: "too late" if clock.monotonic() > begun_at else None)) for _ in range(50)]
    begun_at = clock.monotonic()
    assert await turns_in(pacing, clock, 3.5) == 3
    assert [await turn for turn in late] == ["too late"] * 50


async def test_claims_that_a_slower_pace_makes_late_are_given_back_at_once_and_hold_up_no_claim_behind_them() -> None:
    """Otherwise each is claimed again behind the others, comes too late again, and nothing is placed any more."""
    given = Given(*(task(number) for number in range(101)), max_in_flight=200, calls_per_second=1)
    given.line.claiming = Pacing(given.clock)
    for number in range(100):
        await given.queued(number)
    for claim in given.claims():
        given.dispatcher.on_claimed(claimed(claim.id))
    await passes(given.clock, 32)
    placed = len(given.provider.posts)
    assert 30 <= placed <= 32
    assert Counter(said.outcome for said in given.commands.outcomes()) == {"placed": placed, "not-placed": 100 - placed}
    await given.queued(100)
    await given.granted(given.claims()[-1].id)
    await passes(given.clock, 2)
    assert len(given.provider.posts) == placed + 1


async def test_a_provider_that_says_too_many_is_left_alone_as_long_as_it_asks_and_no_attempt_is_used_up() -> None:
    given = Given(task(0), task(1))
    given.provider.answer = NotPlaced("the provider answered 429", too_many=True, retry_after_seconds=60)
    await given.queued(0)
    await given.granted(given.claims()[0].id)
    assert [said.outcome for said in given.commands.outcomes()] == ["not-placed"]
    with begun(given.queued(1)) as waiting:
        await settle()
        given.clock.move(seconds=59)
        await settle()
        assert not waiting.done()
        given.clock.move(seconds=1)
        await settle()
        assert waiting.done()
    assert [claim.data.to_wire()["attempt"] for claim in given.claims()] == [1, 1]


async def test_claims_that_are_granted_all_at_once_are_placed_no_faster_than_configured() -> None:
    given = Given(task(0), task(1), task(2), calls_per_second=2)
    claiming = [asyncio.create_task(given.queued(number)) for number in range(3)]
    for _ in range(20):
        await settle()
        given.clock.move(seconds=0.1)
    await asyncio.gather(*claiming)
    given.clock.move(seconds=5)
    for claim in given.claims():
        await given.granted(claim.id)
    assert len(given.provider.posts) == 1
    for _ in range(3):
        given.clock.move(seconds=0.25)
        await settle()
    assert len(given.provider.posts) == 2


def test_each_providers_state_is_a_metric() -> None:
    registry, clock = CollectorRegistry(), ManualClock()
    metrics = DialerMetrics(registry)
    ill, well = (new_line(ProviderByHand(name), clock, no_jitter, 10, 4) for name in ("ill", "well"))
    metrics.watch(ill)
    metrics.watch(well)
    ill.learn(NotPlaced("the provider answered 429", too_many=True))

    def shown(name: str, provider: str) -> float | None:
        return registry.get_sample_value(f"ringfold_dialer_provider_{name}", {"provider": provider})

    assert [shown("left_alone", provider) for provider in ("ill", "well")] == [1, 0]
    assert [shown("calls_per_second", provider) for provider in ("ill", "well")] == [1, 4]


async def test_those_who_wait_are_counted_go_on_one_after_the_other_and_only_one_tries() -> None:
    clock, provider = ManualClock(), ProviderByHand()
    line = new_line(provider, clock, no_jitter, 10)
    line.learn(NotPlaced("connection refused"))
    waiting = [asyncio.create_task(line.admission("acme")) for _ in range(5)]
    await settle()
    assert line.waiting == 5
    waiting.pop().cancel()
    clock.move(seconds=1)
    await settle()
    assert [admitted.done() for admitted in waiting] == [True, False, False, False]
    assert line.waiting == 3
    line.learn(Placed("p-1"))
    clock.move(seconds=1)
    await settle()
    assert all(admitted.done() for admitted in waiting)
    assert line.waiting == 0


async def test_while_one_after_the_other_tries_the_orgs_take_turns() -> None:
    clock = ManualClock()
    line = new_line(ProviderByHand(), clock, no_jitter, 10)
    line.learn(NotPlaced("connection refused"))
    waiting = {name: asyncio.create_task(line.admission(name[:1])) for name in ("a1", "a2", "a3", "b1")}
    order: list[str] = []
    for _ in range(4):
        await settle()
        clock.move(seconds=20)
        await settle()
        order += [name for name, admitted in waiting.items() if admitted.done() and name not in order]
        line.learn(NotPlaced("connection refused"))
    assert order == ["a1", "b1", "a2", "a3"]


async def test_one_providers_trouble_holds_up_no_call_of_another() -> None:
    clock = ManualClock()
    ill, well = ProviderByHand("ill"), ProviderByHand("well")
    given = Given(task(0, org_id="acme"), task(1, org_id="other"), task(2, org_id="acme"))
    lines = [new_line(provider, clock, no_jitter, 10) for provider in (ill, well)]
    given.dispatcher.lines = Lines(lines, lambda task: "ill" if task.org_id == "acme" else "well")
    ill.answer, well.answer = NotPlaced("connection refused"), Placed("p-1")
    await given.queued(0)
    await given.granted(given.claims()[0].id)
    with begun(given.queued(2)) as waiting:
        await given.queued(1)
        await given.granted(given.claims()[1].id)
        assert not waiting.done()
    assert [(said.outcome, said.provider) for said in given.commands.outcomes()] == [("not-placed", None), ("placed", "well")]
    assert [claim.data.to_wire()["provider"] for claim in given.claims()] == ["ill", "well"]
    assert (len(ill.posts), len(well.posts)) == (1, 1)
