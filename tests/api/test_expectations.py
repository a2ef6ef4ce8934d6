"""When the outcome of a command is known from the log."""

import asyncio
from datetime import UTC, datetime

import pytest

from events import facts
from events.codec import encode_event
from events.envelope import Event
from services.api.expectations import Expectations, Outcome
from services.api.plans import COMPLETED, Asked, Plan

AT = datetime(2030, 1, 1, tzinfo=UTC)
ASKED = Asked("org-1", "c", "0" * 64)
CREATION = Plan(ASKED, "id-1", ("c", "c.part-0", "c.part-1"), (), "c.part-1", COMPLETED, creates=True)
EDIT = Plan(ASKED, "id-1", ("c",), (), "c", None)
NAMED = facts.CampaignUpdated(name="x")
STOPPED = facts.CampaignEnded(ended_reason="campaign.ended.success")
DONE = facts.ContactsCompleted(contacts=2)
NO_EFFECT = facts.CommandHadNoEffect(command="CreateCampaign.v1", reason="repeated", first_type="CampaignCreated.v1", first_at=AT)


def _record(offset: int, data: facts.Fact, command_id: str | None, org: str = "org-1") -> tuple[int, bytes]:
    return offset, encode_event(Event(org, AT, data, "id-1", None, command_id), str(offset))


def _read(plan: Plan, *batches: tuple[list[tuple[int, bytes]], bool]) -> Outcome | None:
    async def run() -> Outcome | None:
        expectations = Expectations()
        with expectations.expecting(plan) as expectation:
            for records, caught_up in batches:
                expectations.read(3, records, caught_up)
            return expectation.outcome.result() if expectation.outcome.done() else None

    return asyncio.run(run())


def test_a_creation_in_parts_is_known_when_its_contacts_are_complete() -> None:
    started = [_record(5, NAMED, "c"), _record(6, NAMED, "c.part-0"), _record(7, NAMED, "c.part-1")]
    assert _read(CREATION, (started, True)) is None
    assert _read(CREATION, (started, False), ([_record(9, DONE, "c.part-1")], True)) == Outcome(3, 5, 10)


def test_a_repeated_creation_is_known_by_the_answer_to_its_last_part() -> None:
    answers = [_record(5, NO_EFFECT, "c"), _record(6, NO_EFFECT, "c.part-0")]
    assert _read(CREATION, (answers, True)) is None
    assert _read(CREATION, ([*answers, _record(7, NO_EFFECT, "c.part-1")], True)) == Outcome(3, 5, 8)


def test_a_rejection_of_any_part_is_the_outcome() -> None:
    rejected = facts.CommandRejected(command="AddContacts.v1", reason="invalid", messages=["no"])
    assert _read(CREATION, ([_record(5, NAMED, "c"), _record(6, rejected, "c.part-0")], True)) == Outcome(3, 5, 7, "invalid", ["no"])


def test_a_repeat_of_what_was_rejected_names_the_command_that_was() -> None:
    repeated = NO_EFFECT.model_copy(update={"first_type": "CommandRejected.v1"})
    assert _read(CREATION, ([_record(5, repeated, "c")], True)) == Outcome(3, 5, 6, "repeated", [], "c")


def test_an_edit_is_known_after_the_last_event_that_names_it() -> None:
    edited, stopped = _record(5, NAMED, "c"), _record(6, STOPPED, "c")
    assert _read(EDIT, ([edited, stopped], True)) == Outcome(3, 5, 7)
    assert _read(EDIT, ([edited], False)) is None
    assert _read(EDIT, ([edited], False), ([stopped, _record(7, STOPPED, None)], False)) == Outcome(3, 5, 7)
    assert _read(EDIT, ([edited, _record(6, NAMED, "other")], False)) == Outcome(3, 5, 6)


def test_an_edit_is_known_when_no_more_events_come() -> None:
    async def run() -> Outcome:
        expectations = Expectations()
        with expectations.expecting(EDIT) as expectation:
            outcome = expectation.outcome
            expectations.read(3, [_record(5, NAMED, "c")], caught_up=False)
            expectations.pause({3})
            assert not outcome.done()
            expectations.pause({1})
            return outcome.result()

    assert asyncio.run(run()) == Outcome(3, 5, 6)


@pytest.mark.parametrize(("org", "command_id"), [("org-2", "c"), ("org-1", "other"), ("org-1", None)])
def test_events_of_others_are_no_outcome(org: str, command_id: str | None) -> None:
    assert _read(EDIT, ([_record(5, NAMED, command_id, org)], True)) is None


async def test_who_waits_for_some_of_the_commands_goes_on_when_they_are_decided_or_one_is_rejected() -> None:
    expectations = Expectations()
    with expectations.expecting(CREATION) as expectation:
        await expectation.until_decided(0)
        waiting = asyncio.create_task(expectation.until_decided(2))
        expectations.read(3, [_record(5, NAMED, "c")], True)
        await asyncio.sleep(0)
        assert not waiting.done()
        expectations.read(3, [_record(6, NAMED, "c.part-0")], True)
        await waiting
        last = asyncio.create_task(expectation.until_decided(3))
        expectations.read(3, [_record(7, facts.CommandRejected(command="x", reason="invalid", messages=[]), "c.part-1")], True)
        await last
        assert expectation.outcome.done()


def test_the_rejection_of_another_request_under_the_same_id_is_no_outcome() -> None:
    refused = facts.CommandRejected(command="CreateCampaign.v1", reason="id-reused", messages=["x"])
    other = (6, encode_event(Event("org-1", AT, refused, "id-1", None, "c", "f" * 64), "6"))
    assert _read(CREATION, ([_record(5, NAMED, "c"), other], True)) is None
    outcome = _read(CREATION, ([other, _record(7, DONE, "c.part-1")], True))
    assert outcome is not None
    assert outcome.reason is None
