"""A call's way through the dialer (design, "Dialing"): given what is in hand, when this is read, then this is said."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest

from events.commands import ClaimCall
from services.dialer.predial import NotEligible, PredialFailed
from services.dialer.provider import Answer, NotPlaced, Placed, Refused, Unknown
from tests.dialer.given import CLAIMANT, NOW, Given, begun, call_id, settle, task

PREDIAL: dict[str, Any] = {"predial_plan": {}, "server": {"url": "http://customer/"}}


async def test_a_queued_call_is_claimed_for_this_process_for_a_while() -> None:
    given = Given(task())
    await given.queued()
    (claim,) = given.claims()
    data = cast(ClaimCall, claim.data)
    assert (claim.org_id, claim.call_id, data.attempt, data.claimant) == ("acme", call_id(), 1, CLAIMANT)
    assert data.valid_until == NOW + timedelta(seconds=30)
    assert given.provider.posts == []


async def test_a_granted_claim_is_placed_once_and_its_outcome_said() -> None:
    given = Given(task())
    await given.queued()
    await given.granted(given.claims()[0].id)
    await given.granted(given.claims()[0].id)
    assert [(post.task.call_id, post.attempt, post.callback_url) for post in given.provider.posts] == [
        (call_id(), 1, f"http://api/{call_id()}/1")
    ]
    (outcome,) = given.commands.outcomes()
    assert (outcome.outcome, outcome.claim_id, outcome.provider, outcome.provider_call_id) == (
        "placed",
        given.claims()[0].id,
        "by-hand",
        "p-1",
    )


async def test_a_claim_of_another_process_or_of_a_former_life_is_not_acted_upon() -> None:
    former, given = Given(task()), Given(task())
    await former.queued()
    await given.queued()
    await given.granted("claim-of-another")
    later_life = Given(task())
    await later_life.granted(former.claims()[0].id)
    assert given.provider.posts == later_life.provider.posts == []
    assert later_life.commands.written == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Placed("p-9"), "placed"),
        (Refused("call.start.error-x", "e"), "refused"),
        (NotPlaced("e"), "not-placed"),
        (Unknown("e"), "unknown"),
        (RuntimeError("a fault of the adapter"), "unknown"),
    ],
)
async def test_what_the_provider_answers_is_said_as_it_is_known(answer: Answer | Exception, outcome: str) -> None:
    given = Given(task())
    given.provider.answer = answer
    await given.queued()
    await given.granted(given.claims()[0].id)
    assert [said.outcome for said in given.commands.outcomes()] == [outcome]


async def test_a_claim_granted_too_late_is_given_back_and_not_placed() -> None:
    given = Given(task())
    await given.queued()
    given.clock.move(seconds=30)
    await given.granted(given.claims()[0].id)
    assert given.provider.posts == []
    assert [said.outcome for said in given.commands.outcomes()] == ["not-placed"]


async def test_a_claim_that_nobody_granted_in_time_is_given_back_and_a_later_grant_not_acted_upon() -> None:
    given = Given(task())
    await given.queued()
    with begun(given.dispatcher.run()):
        await settle()
        given.clock.move(seconds=31)
        await settle()
    assert [(said.outcome, said.claim_id) for said in given.commands.outcomes()] == [("not-placed", given.claims()[0].id)]
    await given.granted(given.claims()[0].id)
    assert given.provider.posts == []
    assert given.dispatcher.held == 0


@pytest.mark.parametrize("answer", [NotPlaced("429", too_many=True), NotPlaced("connection refused")])
async def test_a_claim_that_is_granted_once_more_after_it_was_not_placed_is_given_back_again_and_never_placed(answer: NotPlaced) -> None:
    given = Given(task())
    given.provider.answer = answer
    await given.queued()
    claim = given.claims()[0].id
    await given.granted(claim)
    given.provider.answer = Placed("p-1")
    for _ in range(2):
        await given.granted(claim)
    assert len(given.provider.posts) == 1
    assert [(said.outcome, said.claim_id) for said in given.commands.outcomes()] == [("not-placed", claim)] * 3


@pytest.mark.parametrize("answer", [Placed("p-9"), Refused("call.start.error-x", "e"), Unknown("e")])
async def test_of_a_claim_that_was_or_may_have_been_placed_nothing_is_said_again(answer: Answer) -> None:
    given = Given(task())
    given.provider.answer = answer
    await given.queued()
    claim = given.claims()[0].id
    await given.granted(claim)
    await given.granted(claim)
    assert len(given.commands.outcomes()) == len(given.provider.posts) == 1


async def test_a_claim_that_a_fault_put_behind_its_giving_back_is_given_back_when_it_is_granted() -> None:
    given = Given(task())
    given.commands.works.clear()
    with begun(given.queued()), begun(given.dispatcher.run()):
        await settle()
        given.clock.move(seconds=31)
        await settle()
        given.commands.works.set()
        await settle()
        await given.granted(given.claims()[0].id)
    assert given.provider.posts == []
    assert [said.claim_id for said in given.commands.outcomes()] == [given.claims()[0].id] * 2


async def test_while_a_claim_is_being_placed_another_grant_of_it_says_nothing() -> None:
    given = Given(task())
    given.provider.may_answer.clear()
    await given.queued()
    claim = given.claims()[0].id
    await given.granted(claim)
    await given.granted(claim)
    assert given.commands.outcomes() == []
    given.provider.may_answer.set()
    await settle()
    assert [said.outcome for said in given.commands.outcomes()] == ["placed"]


async def test_a_record_is_done_only_when_its_claim_is_durable() -> None:
    given = Given(task())
    given.commands.works.clear()
    with begun(given.queued()) as taking_up:
        await settle()
        assert not taking_up.done()
        given.commands.works.set()
        await settle()
        assert taking_up.done()


async def test_a_grant_that_comes_before_the_claim_is_acknowledged_is_acted_upon() -> None:
    given = Given(task())
    given.commands.works.clear()
    with begun(given.queued()):
        await settle()
        await given.granted("id-1")
        assert len(given.provider.posts) == 1


async def test_an_outcome_waits_until_the_log_takes_it() -> None:
    given = Given(task())
    await given.queued()
    given.commands.works.clear()
    await given.granted(given.claims()[0].id)
    assert len(given.provider.posts) == 1
    assert given.dispatcher.held == 1
    given.commands.works.set()
    await settle()
    assert [said.outcome for said in given.commands.outcomes()] == ["placed"]
    assert given.dispatcher.held == 0


async def test_posts_at_once_are_bounded_and_one_whose_turn_comes_too_late_is_not_placed() -> None:
    given = Given(*(task(number) for number in range(3)), max_in_flight=2)
    given.provider.may_answer.clear()
    for number in range(3):
        await given.queued(number)
        await given.granted(given.claims()[number].id)
    assert len(given.provider.posts) == 2
    given.clock.move(seconds=30)
    given.provider.may_answer.set()
    await settle()
    assert len(given.provider.posts) == 2
    assert [said.outcome for said in given.commands.outcomes()] == ["placed", "placed", "not-placed"]


async def test_predial_is_asked_before_the_claim() -> None:
    given = Given(task(**PREDIAL))
    await given.queued()
    assert given.predial.asked == [call_id()]
    assert len(given.claims()) == 1


async def test_predial_that_says_no_or_fails_ends_the_call_without_a_claim() -> None:
    given = Given(task(0, **PREDIAL), task(1, **PREDIAL))
    given.predial.verdict = NotEligible()
    await given.queued(0)
    given.predial.verdict = PredialFailed("answered 500")
    await given.queued(1)
    assert given.claims() == []
    assert [(said.outcome, said.claim_id, said.error) for said in given.commands.outcomes()] == [
        ("skipped", None, None),
        ("predial-failed", None, "answered 500"),
    ]


async def test_while_the_provider_is_away_calls_wait_before_they_are_asked_of_or_claimed_and_go_on_by_themselves() -> None:
    given = Given(task(0), task(1, **PREDIAL))
    given.provider.answer = NotPlaced("connection refused")
    await given.queued(0)
    await given.granted(given.claims()[0].id)
    with begun(given.queued(1)) as waiting:
        await settle()
        assert not waiting.done()
        assert given.predial.asked == []
        given.provider.answer = Placed("p-2")
        given.clock.move(seconds=1)
        await settle()
        assert waiting.done()
    await given.granted(given.claims()[1].id)
    assert [said.outcome for said in given.commands.outcomes()] == ["not-placed", "placed"]


async def test_claims_granted_while_the_provider_is_left_alone_are_given_back_without_a_post() -> None:
    given = Given(task(0), task(1))
    await given.queued(0)
    await given.queued(1)
    given.provider.answer = NotPlaced("connection refused")
    await given.granted(given.claims()[0].id)
    await given.granted(given.claims()[1].id)
    assert len(given.provider.posts) == 1
    assert [said.outcome for said in given.commands.outcomes()] == ["not-placed", "not-placed"]


async def test_a_stop_gives_back_what_is_not_placed_and_waits_for_what_is() -> None:
    given = Given(task(0), task(1))
    given.provider.may_answer.clear()
    await given.queued(0)
    await given.queued(1)
    await given.granted(given.claims()[0].id)
    with begun(given.dispatcher.close(5)) as closing:
        await settle()
        assert [said.outcome for said in given.commands.outcomes()] == ["not-placed"]
        await given.granted(given.claims()[1].id)
        assert not closing.done()
        given.provider.may_answer.set()
        await asyncio.wait_for(asyncio.shield(closing), 5)
    assert len(given.provider.posts) == 1
    first, second = (claim.id for claim in given.claims())
    # given back once more when it is granted, since a fault may have put its claim behind
    said = [(said.outcome, said.claim_id) for said in given.commands.outcomes()]
    assert said == [("not-placed", second), ("not-placed", second), ("placed", first)]


async def test_a_stop_leaves_as_unknown_what_does_not_answer_in_time() -> None:
    given = Given(task())
    given.provider.may_answer.clear()
    await given.queued()
    await given.granted(given.claims()[0].id)
    await given.dispatcher.close(0.01)
    assert [said.outcome for said in given.commands.outcomes()] == ["unknown"]
