"""The wait for the read model, and the lookups of calls whose outcome is unknown."""

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from events.commands import ReportCall
from events.envelope import EventRecord
from projections.dial_task.task import DialTask
from services.dialer.dial_tasks import ReadModelDialTasks
from services.dialer.lines import Lines, new_line
from services.dialer.metrics import DialerMetrics
from services.dialer.provider import FoundCall, LookupFailedError
from services.dialer.reconciliation import Reconciliation
from tests.dialer.given import CAMPAIGN, ORG, CommandsInMemory, ProviderByHand, begun, call_id, no_jitter, settle, task
from tests.support.clock import ManualClock


class ReadsByHand:
    """A read model that stands where the test says."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}
        self.tasks = {call_id(number): task(number) for number in range(3)}
        self.fault: Exception | None = None
        self.asked_for: list[set[str]] = []

    async def next_offsets(self) -> dict[int, int]:
        if self.fault is not None:
            raise self.fault
        return self.offsets

    async def dial_tasks(self, call_ids: Iterable[str]) -> dict[str, DialTask]:
        wanted = set(call_ids)
        self.asked_for.append(wanted)
        return {call_id: self.tasks[call_id] for call_id in wanted if call_id in self.tasks}


async def test_a_call_is_read_only_once_the_read_model_has_passed_its_event() -> None:
    reads, clock = ReadsByHand(), ManualClock()
    tasks = ReadModelDialTasks(reads, clock)
    with begun(tasks.run()), begun(tasks.get(0, 5, call_id())) as wanted:
        reads.offsets = {0: 5, 1: 99}
        await settle()
        clock.move(seconds=1)
        await settle()
        assert not wanted.done()
        reads.offsets = {0: 6}
        clock.move(seconds=1)
        await settle()
        assert wanted.result() == task(0)


async def test_many_calls_are_read_at_once() -> None:
    reads, clock = ReadsByHand(), ManualClock()
    reads.offsets = {0: 100}
    tasks = ReadModelDialTasks(reads, clock)
    with begun(tasks.get(0, 1, call_id(0))) as first, begun(tasks.get(0, 2, call_id(1))) as second:
        await settle()
        with begun(tasks.run()):
            await settle()
        assert (first.result(), second.result()) == (task(0), task(1))
    assert reads.asked_for == [{call_id(0), call_id(1)}]


async def test_a_read_model_that_is_away_or_lacks_the_call_is_waited_for() -> None:
    reads, clock = ReadsByHand(), ManualClock()
    reads.offsets, reads.fault = {0: 100}, OSError("away")
    lost = reads.tasks.pop(call_id(0))
    tasks = ReadModelDialTasks(reads, clock)
    with begun(tasks.run()), begun(tasks.get(0, 1, call_id(0))) as wanted:
        await settle()
        assert tasks.problem is not None
        reads.fault = None
        clock.move(seconds=1)
        await settle()
        assert tasks.problem is None
        assert not wanted.done()
        reads.tasks[call_id(0)] = lost
        clock.move(seconds=1)
        await settle()
        assert wanted.result() == lost


async def test_calls_that_the_read_model_lacks_hold_up_no_other_and_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    reads, clock = ReadsByHand(), ManualClock()
    reads.offsets = {0: 1_000}
    tasks = ReadModelDialTasks(reads, clock)
    async with asyncio.TaskGroup() as group:
        lacking = [group.create_task(tasks.get(0, offset, f"lacking-{offset}")) for offset in range(500)]
        await settle()
        with begun(tasks.run()), begun(tasks.get(0, 600, call_id(0))) as there:
            for _ in range(10):
                await settle()
                clock.move(seconds=0.1)
            assert there.result() == task(0)
            clock.move(seconds=5)
            await settle()
        for waiting in lacking:
            waiting.cancel()
    assert len([record for record in caplog.records if "lacks a call" in record.message]) == 500


async def test_who_no_longer_waits_is_not_read_for() -> None:
    reads, clock = ReadsByHand(), ManualClock()
    reads.offsets = {0: 100}
    tasks = ReadModelDialTasks(reads, clock)
    with begun(tasks.get(0, 1, call_id(0))):
        await settle()
    await settle()
    with begun(tasks.run()):
        await settle()
    assert reads.asked_for == []


UNKNOWN: EventRecord = {
    "specversion": "1.0",
    "id": "e",
    "source": "/ringfold/engine",
    "type": "CallOutcomeUnknown.v1",
    "orgid": ORG,
    "subject": CAMPAIGN,
    "callid": call_id(),
    "time": "2030-01-01T09:00:00.000Z",
    "data": {"attempt": 1, "provider": "by-hand"},
}


def reconciliation() -> tuple[Reconciliation, ProviderByHand, CommandsInMemory, ManualClock]:
    clock, commands, provider = ManualClock(), CommandsInMemory(), ProviderByHand()
    return (
        Reconciliation(
            clock, commands, Lines.of_one(new_line(provider, clock, no_jitter, 10)), lambda: "id", DialerMetrics(CollectorRegistry())
        ),
        provider,
        commands,
        clock,
    )


async def test_an_unknown_call_that_the_provider_has_is_reported() -> None:
    looking, provider, commands, clock = reconciliation()
    waiting, talking = FoundCall("p-1", "queued", {}), FoundCall("p-1", "in-progress", {})
    provider.found[(call_id(), 1)] = [LookupFailedError(), None, waiting, talking]
    looking.look_up(UNKNOWN)
    for _ in range(5):
        await settle()
        clock.move(seconds=60)
    (command,) = commands.written
    report = cast(ReportCall, command.data)
    assert (command.org_id, command.campaign_id, command.call_id) == (ORG, CAMPAIGN, call_id())
    assert (report.status, report.provider, report.provider_call_id, report.final) == ("in-progress", "by-hand", "p-1", False)
    await looking.close()


async def test_an_unknown_call_that_the_provider_never_had_is_reported_once_after_several_looks() -> None:
    looking, _, commands, clock = reconciliation()
    looking.look_up(UNKNOWN)
    for _ in range(10):
        await settle()
        clock.move(seconds=60)
    assert [command.data.to_wire()["outcome"] for command in commands.written] == ["not-found"]
    await looking.close()


async def test_an_unknown_call_that_every_look_failed_for_is_named_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    looking, provider, commands, clock = reconciliation()
    provider.found[(call_id(), 1)] = [LookupFailedError("the provider answered 500")] * 5
    looking.look_up(UNKNOWN)
    for _ in range(10):
        await settle()
        clock.move(seconds=60)
    assert commands.written == []
    assert [(record.__dict__["call"], record.__dict__["error"]) for record in caplog.records] == [(call_id(), "the provider answered 500")]
    await looking.close()


async def test_no_other_provider_is_asked_than_the_one_that_the_claim_named() -> None:
    looking, provider, commands, _ = reconciliation()
    provider.found[(call_id(), 1)] = [FoundCall("p-1", "ended", {})] * 2
    for data in ({"attempt": 1}, {"attempt": 1, "provider": "another"}):
        assert looking.look_up(cast(EventRecord, {**UNKNOWN, "data": data})) is None
    await settle()
    assert commands.written == []
    assert len(provider.found[(call_id(), 1)]) == 2


async def test_a_provider_that_can_not_look_up_is_not_asked() -> None:
    looking, provider, commands, _ = reconciliation()
    provider.can_find = False
    provider.found[(call_id(), 1)] = [FoundCall("p-1", "ended", {})]
    assert looking.look_up(UNKNOWN) is None
    await settle()
    assert commands.written == []
