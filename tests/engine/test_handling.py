"""How records become a batch: nothing is lost, what can not be handled is dead-lettered with its reason, and the rest goes on."""

from typing import Any

import orjson
import pytest

from events.codec import decode_event, encode_command
from events.envelope import Command, Event
from events.topics import CAMPAIGN_COMMANDS
from services.engine import handling
from services.engine.decider import decide as decide_module
from services.engine.decider.policy import Policy
from services.engine.decider.state import PartitionState
from services.engine.handling import MAX_EVENTS, Handler
from services.engine.ports import Batch, CommandRecord
from tests.engine.given import T0, draft, names


def handler() -> Handler:
    return Handler(PartitionState(), Policy(), lambda org: org.startswith("org"), lambda: "id")


def feed(target: Handler, *values: bytes | None) -> None:
    start = len(target.waiting)
    target.waiting.extend(CommandRecord(CAMPAIGN_COMMANDS, start + n, b"k", value) for n, value in enumerate(values))


def creation(id: str, count: int = 1, org: str = "org-1") -> bytes:
    return encode_command(Command(id, org, draft(count), "/tests"))


def decoded(batch: Batch) -> list[Event]:
    return [decode_event(value) for _, value in batch.events]


def all_batches(target: Handler) -> list[Batch]:
    batches = []
    while batch := target.batch(T0):
        batches.append(batch)
    return batches


def test_an_undecodable_command_is_dead_lettered_and_the_next_one_is_handled() -> None:
    target = handler()
    feed(target, b"{", None, creation("a"))
    batch = target.batch(T0)
    assert [letter.record.offset for letter in batch.dead] == [0, 1]
    assert names(decoded(batch))[0] == "CampaignCreated"
    assert batch.positions == {CAMPAIGN_COMMANDS: 3}


def test_an_invalid_command_of_a_user_is_dead_lettered_and_rejected_by_name() -> None:
    target = handler()
    record = orjson.loads(creation("a"))
    record["data"]["maxConcurrency"] = "ten"
    feed(target, orjson.dumps(record), orjson.dumps(record | {"id": "b", "type": "Sing.v1"}))
    batch = target.batch(T0)
    assert len(batch.dead) == 2
    events = decoded(batch)
    assert [event.causation_id for event in events] == ["a", "b"]
    assert events[0].data.to_wire()["messages"] == ["maxConcurrency must be a whole number"]
    assert "Sing.v1 is unknown" in str(events[1].data.to_wire()["messages"])


def test_an_invalid_command_of_our_services_is_dead_lettered_only() -> None:
    target = handler()
    record = orjson.loads(creation("a"))
    feed(target, orjson.dumps(record | {"type": "ClaimCall.v1", "data": {}}))
    batch = target.batch(T0)
    assert (len(batch.dead), batch.events) == (1, [])


def test_a_command_of_another_partitions_org_is_forwarded_under_its_key() -> None:
    target = handler()
    feed(target, creation("a", org="elsewhere"))
    batch = target.batch(T0)
    assert [key for _, key in batch.forwarded] == [b"elsewhere"]
    assert (batch.events, batch.dead) == ([], [])


def test_a_transaction_holds_at_most_5_000_events() -> None:
    target = handler()
    feed(target, *(creation(str(n), 4_000) for n in range(3)))
    batches = all_batches(target)
    assert max(len(batch.events) for batch in batches) <= MAX_EVENTS
    events = [event for batch in batches for event in decoded(batch)]
    assert sum(name == "CallScheduled" for name in names(events)) == 12_000


def test_stopping_a_large_campaign_takes_several_transactions() -> None:
    target = handler()
    record = orjson.loads(creation("a", 4_000))
    record["data"]["schedulePlan"] = {"earliestAt": "2031-01-01T00:00:00Z"}
    feed(target, orjson.dumps(record))
    campaign_id = decoded(all_batches(target)[0])[0].campaign_id
    target.state.campaigns[str(campaign_id)].total += 20_000
    stop = {"specversion": "1.0", "id": "s", "source": "/t", "type": "StopCampaign.v1", "orgid": "org-1", "subject": campaign_id}
    feed(target, orjson.dumps(stop))
    batches = all_batches(target)
    assert [len(batch.events) <= MAX_EVENTS for batch in batches] == [True] * len(batches)
    assert sum(len(batch.events) for batch in batches) == 24_001


def test_a_command_that_makes_deciding_fail_twice_is_dead_lettered_and_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    real = decide_module._DECISIONS[type(draft())]

    def failing(state: Any, command: Command, *rest: Any) -> list[Event]:
        if command.id == "bad":
            tries.append(command.id)
            raise RuntimeError("a bug")
        return real(state, command, *rest)

    monkeypatch.setitem(decide_module._DECISIONS, type(draft()), failing)
    target = handler()
    feed(target, creation("a"), creation("bad"), creation("c"))
    batches = all_batches(target)
    assert tries == ["bad", "bad"]
    assert [letter.record.offset for batch in batches for letter in batch.dead] == [1]
    answered = {event.causation_id: names([event])[0] for batch in batches for event in decoded(batch) if event.causation_id}
    assert answered["bad"] == "CommandRejected"
    assert batches[-1].positions == {CAMPAIGN_COMMANDS: 3}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [250, 254, 255, 300, 900])
@pytest.mark.parametrize("field", ["variableValues", "model"])
def test_a_command_that_is_nested_too_deeply_is_rejected_and_the_partition_goes_on(levels: int, field: str) -> None:
    target = handler()
    record = orjson.loads(creation("deep"))
    text = orjson.dumps(record).replace(b'{"number":', b'{"assistantOverrides":{"%b":{"a":DEEP}},"number":' % field.encode())
    feed(target, text.replace(b"DEEP", b"[" * levels + b"]" * levels), creation("b"))
    events = [event for batch in all_batches(target) for event in decoded(batch)]
    assert [names([event])[0] for event in events if event.causation_id == "deep"] == ["CommandRejected"]
    assert "CampaignCreated" in names(events)


def test_a_command_nested_as_deep_as_is_taken_becomes_fact() -> None:
    target = handler()
    record = orjson.loads(creation("deep"))
    record["data"]["assistantOverrides"] = {"model": nested(190)}
    feed(target, orjson.dumps(record))
    assert names(decoded(target.batch(T0)))[0] == "CampaignCreated"


@pytest.mark.parametrize("step", ["decode_command_data", "decide", "encode_event"])
def test_whatever_step_fails_twice_the_command_is_given_up_and_the_partition_goes_on(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(handling, step)

    def failing(*given: Any) -> Any:
        if any(getattr(value, "id", getattr(value, "causation_id", None)) == "bad" for value in given):
            if getattr(getattr(given[0], "data", None), "type_name", "") == "CommandRejected.v1":
                return real(*given)
            raise RecursionError("a bug")
        return real(*given)

    monkeypatch.setattr(handling, step, failing)
    target = handler()
    feed(target, creation("a"), creation("bad"), creation("c"))
    batches = all_batches(target)
    assert [letter.record.offset for batch in batches for letter in batch.dead] == [1]
    answered = {event.causation_id: names([event])[0] for batch in batches for event in decoded(batch) if event.causation_id}
    assert answered == {"a": "ContactsCompleted", "bad": "CommandRejected", "c": "ContactsCompleted"}


def test_time_does_not_go_back_when_the_clock_does() -> None:
    target = handler()
    feed(target, creation("a"))
    target.batch(T0)
    feed(target, creation("b"))
    later = decoded(target.batch(T0.replace(year=2029)))
    assert {event.at for event in later} == {T0}


def test_a_repeated_id_whose_data_is_invalid_now_is_answered_by_naming_the_first() -> None:
    target = handler()
    feed(target, creation("a"))
    target.batch(T0)
    record = orjson.loads(creation("a"))
    record["data"]["name"] = 7
    feed(target, orjson.dumps(record))
    batch = target.batch(T0)
    assert names(decoded(batch)) == ["CommandHadNoEffect"]
    assert len(batch.dead) == 1


def test_a_rejection_holds_no_subject_that_is_no_uuid() -> None:
    target = handler()
    feed(
        target,
        orjson.dumps({"specversion": "1.0", "id": "s", "source": "/t", "type": "StopCampaign.v1", "orgid": "org-1", "subject": "\x00"}),
    )
    events = decoded(target.batch(T0))
    assert names(events) == ["CommandRejected"]
    assert events[0].campaign_id is None
