"""What is Twilio's own in the adapter to it."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from services.dialer.lines import new_line
from services.dialer.provider import LookupFailedError, NotPlaced, PlaceCall, Placed, Refused
from services.dialer.twilio_provider import NO_CALLER, call_form
from tests.dialer.fake_providers import ACCOUNT, ADAPTERS, SID, FakeProvider, twilio, twilio_config
from tests.dialer.given import CAMPAIGN, call_id, no_jitter, task
from tests.support.clock import ManualClock

CALL = PlaceCall(task(), 2, "https://api.example.com/back")


@pytest.fixture
async def fake() -> FakeProvider:
    return FakeProvider(ADAPTERS["twilio"][1], "taken")


@pytest.fixture
async def place(fake: FakeProvider) -> AsyncIterator[Any]:
    async with TestServer(fake.app()) as server, aiohttp.ClientSession() as http:
        yield twilio(http, str(server.make_url(""))).place


async def test_the_form_names_both_numbers_what_to_say_and_where_to_report(fake: FakeProvider, place: Any) -> None:
    assert await place(CALL) == Placed(SID)
    (request,), (form,) = fake.posts, fake.forms
    assert request.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(f"{ACCOUNT}:12345".encode()).decode()
    assert form == [
        ("To", "+15550000000"),
        ("From", "+14155550100"),
        (
            "Url",
            f"https://app.example.com/voice?tone=warm&orgId=acme&campaignId={CAMPAIGN}&callId={call_id()}&attempt=2&assistantId=assistant-1",
        ),
        ("Method", "POST"),
        ("TimeLimit", "3400"),
        ("StatusCallback", "https://api.example.com/back"),
        ("StatusCallbackMethod", "POST"),
        ("StatusCallbackEvent", "initiated"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
        ("MachineDetection", "Enable"),
    ]


def test_machine_detection_may_be_off() -> None:
    config = twilio_config("http://x", machineDetection=None)
    assert "MachineDetection" not in dict(call_form(CALL, "+14155550100", config))


async def test_a_phone_number_id_without_a_caller_is_refused_without_asking(fake: FakeProvider, place: Any) -> None:
    for phone_number_id in ("phone-2", None):
        answer = await place(PlaceCall(task(phone_number_id=phone_number_id), 1, "http://back"))
        assert isinstance(answer, Refused)
        assert (answer.ended_reason, answer.error) == (NO_CALLER, "no caller number is configured for the phoneNumberId")
    assert fake.posts == []


async def test_a_call_that_twilio_is_not_asked_for_tells_nothing_of_how_well_twilio_is() -> None:
    clock = ManualClock()
    async with aiohttp.ClientSession() as http:
        line = new_line(twilio(http, "http://127.0.0.1:1"), clock, no_jitter, 10)
        line.learn(NotPlaced("the provider answered 429", too_many=True))
        pace = line.posting.per_second
        clock.move(seconds=1)
        await line.admission("acme")
        line.hear(call_id(), await line.provider.place(PlaceCall(task(phone_number_id="phone-2"), 1, "http://back")))
        assert not line.circuit.is_closed
        assert line.posting.per_second == pace
        assert line.circuit.admit(clock.monotonic()) == 0


@pytest.mark.parametrize(
    ("status", "code", "ended_reason"),
    [
        (400, 21211, "twilio-reported-customer-misdialed"),
        (400, 21217, "twilio-reported-customer-misdialed"),
        (400, 13224, "twilio-reported-customer-misdialed"),
        (400, 21214, "twilio-failed-to-connect-call"),
        (400, 21215, "twilio-failed-to-connect-call"),
        (403, 21216, "twilio-failed-to-connect-call"),
        (400, 21210, "call.start.error-get-phone-number"),
        (400, 21212, "call.start.error-get-phone-number"),
        (400, 99999, "call.start.error-provider-refused"),
    ],
)
async def test_an_error_about_the_call_refuses_it_for_its_reason_in_however_many_pieces_it_comes(
    fake: FakeProvider, place: Any, status: int, code: int, ended_reason: str
) -> None:
    fake.in_pieces = code % 2 == 0
    fake.answer = (status, {"code": code, "message": "why", "status": status})
    assert await place(CALL) == Refused(ended_reason, f"the provider answered {status}, error {code}")


@pytest.mark.parametrize(("status", "code"), [(401, 20003), (403, 20005), (404, 20404), (400, 21205), (400, 21609)])
async def test_an_error_about_the_account_or_the_configuration_leaves_the_call_for_later(
    fake: FakeProvider, place: Any, status: int, code: int
) -> None:
    fake.answer = (status, {"code": code, "status": status})
    assert isinstance(await place(CALL), NotPlaced)


async def test_twilio_finds_no_call_by_an_id_of_ours() -> None:
    async with aiohttp.ClientSession() as http:
        provider = twilio(http, "http://127.0.0.1:1")
        assert not provider.can_find
        with pytest.raises(LookupFailedError):
            await provider.find(call_id(), 1)
