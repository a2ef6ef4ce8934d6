"""How what the dialer says becomes durable: what is too large for the log holds up nobody."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from events.codec import decode_command
from events.commands import ReportCall
from events.envelope import Command
from events.topics import MAX_COMMAND_BYTES
from services.dialer.command_log import KafkaCommandLog
from tests.dialer.given import CAMPAIGN, ORG, call_id, settle
from tests.support.clock import ManualClock


class ProducerByHand:
    """Fails as often as it holds errors."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.start_error: Exception | None = None
        self.errors: list[Exception] = []
        self.stopped = False

    async def start(self) -> None:
        if self.start_error is not None:
            raise self.start_error

    async def stop(self) -> None:
        self.stopped = True

    async def send_and_wait(self, topic: str, value: bytes, key: bytes) -> None:
        self.sent.append(value)
        if self.errors:
            raise self.errors.pop(0)


class GivenLog:
    """A log whose producers are in hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.producers: list[ProducerByHand] = []
        self.is_away = False
        self.log = KafkaCommandLog("call-commands", self._new_producer, self.clock)

    def _new_producer(self) -> AIOKafkaProducer:
        self.producers.append(ProducerByHand())
        self.producers[-1].start_error = KafkaConnectionError() if self.is_away else None
        return cast(AIOKafkaProducer, self.producers[-1])


def report(**more: Any) -> Command:
    return Command("id", ORG, ReportCall(attempt=1, status="ended", final=True, **more), "/ringfold/dialer", CAMPAIGN, call_id())


async def test_a_report_too_large_for_the_log_loses_its_analysis_and_keeps_the_end() -> None:
    given = GivenLog()
    await given.log.start()
    await given.log.append(report(ended_reason="voicemail", analysis={"summary": "x" * MAX_COMMAND_BYTES}))
    (sent,) = given.producers[0].sent
    assert decode_command(sent).data == ReportCall(attempt=1, status="ended", final=True, ended_reason="voicemail")


async def test_what_the_log_would_never_take_is_given_up_with_an_error_and_everybodys_producer_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = GivenLog()
    await given.log.start()
    given.producers[0].errors = [MessageSizeTooLargeError()]
    await given.log.append(report())
    (producer,) = given.producers
    assert len(producer.sent) == 1
    assert not producer.stopped
    assert [(record.levelname, record.__dict__["call"]) for record in caplog.records] == [("ERROR", call_id())]


async def test_a_producer_that_is_broken_is_replaced_and_the_command_sent_again() -> None:
    given = GivenLog()
    await given.log.start()
    given.producers[0].errors = [KafkaConnectionError()]
    appending = asyncio.create_task(given.log.append(report()))
    await settle()
    given.clock.move(seconds=1)
    await appending
    assert [len(producer.sent) for producer in given.producers] == [1, 1]
    assert given.producers[0].stopped


async def test_while_the_broker_is_away_one_producer_at_a_time_is_tried_and_one_line_tells(caplog: pytest.LogCaptureFixture) -> None:
    given = GivenLog()
    await given.log.start()
    given.producers[0].errors = [KafkaConnectionError() for _ in range(50)]
    given.is_away = True
    appending = [asyncio.create_task(given.log.append(report())) for _ in range(50)]
    for _ in range(4):
        await settle()
        given.clock.move(seconds=0.5)
    assert await given.log.problem() == "commands can not be appended"
    assert len(given.producers) <= 5
    given.is_away = False
    while not all(task.done() for task in appending):
        await settle()
        given.clock.move(seconds=0.5)
    assert await given.log.problem() is None
    assert len(given.producers[-1].sent) == 50
    assert [record.getMessage() for record in caplog.records] == ["commands are not durable yet"]
