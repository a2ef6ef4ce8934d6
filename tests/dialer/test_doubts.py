"""A provider that may not know a call's ids, or may not know us."""

from collections import deque

from events.calls import REFUSED
from services.dialer.doubts import Doubts
from services.dialer.provider import Answer, NotPlaced, Placed, Refused
from tests.dialer.given import Given, begun, settle, task

DOUBTFUL = NotPlaced("the provider answered 404", doubtful=True)


def refused(*, knows_us: bool) -> Refused:
    return Refused(REFUSED, "the provider answered 404", knows_us)


def test_a_call_that_has_it_three_times_is_refused_whatever_others_had_meanwhile() -> None:
    doubts = Doubts()
    said = [doubts.weigh(call, DOUBTFUL) for call in ("a", "b", "a", "b", "a", "a")]
    assert said == [DOUBTFUL] * 4 + [refused(knows_us=False), DOUBTFUL]


def test_one_call_is_refused_at_once_for_each_time_that_others_were_placed_since() -> None:
    doubts = Doubts()
    answers: list[Answer] = [Placed("p-1"), Placed("p-2"), DOUBTFUL, DOUBTFUL, Placed("p-3"), DOUBTFUL]
    said = [doubts.weigh(f"call-{number}", answer) for number, answer in enumerate(answers)]
    assert said == [*answers[:2], refused(knows_us=True), DOUBTFUL, answers[4], refused(knows_us=True)]


def test_what_is_surely_about_us_counts_for_no_call() -> None:
    doubts = Doubts()
    about_us = NotPlaced("the provider answered 401")
    assert [doubts.weigh("a", answer) for answer in [about_us] * 9 + [DOUBTFUL]] == [about_us] * 9 + [DOUBTFUL]


def test_a_call_that_was_placed_or_refused_begins_anew() -> None:
    doubts = Doubts()
    for other in (Placed("p-1"), Refused("call.start.error-x", "e")):
        doubts.weigh("a", DOUBTFUL)
        doubts.weigh("a", DOUBTFUL)
        assert doubts.weigh("a", other) == other
        doubts.weigh("another", DOUBTFUL)
    assert doubts.weigh("a", DOUBTFUL) == DOUBTFUL


async def test_a_call_with_a_bad_id_ends_and_the_provider_is_not_left_alone_for_it() -> None:
    given = Given(task(0), task(1))
    given.provider.answer = DOUBTFUL
    for _ in range(3):
        given.clock.move(seconds=20)
        await given.queued(0)
        await given.granted(given.claims()[-1].id)
    assert [(said.outcome, said.ended_reason) for said in given.commands.outcomes()] == [("not-placed", None)] * 2 + [("refused", REFUSED)]
    given.provider.answer = Placed("p-1")
    with begun(given.queued(1)) as next_to_try:
        await settle()
        assert next_to_try.done()
    await given.granted(given.claims()[-1].id)
    assert given.line.circuit.is_closed


async def test_a_bad_id_among_calls_that_are_placed_ends_its_call_at_once_and_holds_up_nobody() -> None:
    given = Given(task(0), task(1, org_id="other"), task(2, org_id="other"))
    answers: list[tuple[int, Answer]] = [(1, Placed("p-1")), (0, DOUBTFUL), (2, Placed("p-2"))]
    for number, answer in answers:
        given.provider.answer = answer
        await given.queued(number)
        await given.granted(given.claims()[-1].id)
    assert [said.outcome for said in given.commands.outcomes()] == ["placed", "refused", "placed"]


async def test_a_provider_that_knows_nobody_is_left_alone_and_no_call_is_given_up_the_sooner_for_it() -> None:
    given = Given(*(task(number) for number in range(100)))
    given.provider.answer = DOUBTFUL
    queue = deque(range(100))
    for _ in range(120):
        given.clock.move(seconds=1)
        with begun(given.queued(queue[0])) as admitted:
            await settle()
            if admitted.done():
                await given.granted(given.claims()[-1].id)
                queue.rotate(-1)
    assert 8 <= len(given.provider.posts) <= 14
    assert {said.outcome for said in given.commands.outcomes()} == {"not-placed"}
