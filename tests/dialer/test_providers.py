"""The contract of `CallProvider`, held by each adapter against a real HTTP server that counts what it gets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from services.dialer.provider import CallProvider, NotPlaced, PlaceCall, Placed, Refused, Unknown
from tests.dialer.fake_providers import ADAPTERS, FakeProvider
from tests.dialer.given import task
from tests.support.ports import free_port

CALL = PlaceCall(task(), 1, "http://127.0.0.1:1/back")


@dataclass
class Connected:
    """An adapter and what it talks to."""

    kind: str
    http: aiohttp.ClientSession
    adapter: CallProvider
    fake: FakeProvider


@pytest.fixture(params=ADAPTERS)
async def connected(request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    new_adapter, taken = ADAPTERS[request.param]
    fake = FakeProvider(taken)
    async with TestServer(fake.app()) as server, aiohttp.ClientSession() as http:
        yield Connected(request.param, http, new_adapter(http, str(server.make_url(""))), fake)


async def test_a_call_that_is_taken_is_placed_under_the_providers_id(connected: Connected) -> None:
    connected.fake.answer = "taken"
    answer = await connected.adapter.place(CALL)
    assert isinstance(answer, Placed)
    assert answer.provider_call_id in connected.fake.taken[1].values()
    assert len(connected.fake.posts) == 1


async def test_an_answer_that_comes_in_two_pieces_is_read_to_its_end(connected: Connected) -> None:
    connected.fake.in_pieces = True
    connected.fake.answer = "taken"
    assert isinstance(await connected.adapter.place(CALL), Placed)


async def test_an_answer_without_an_end_in_sight_is_read_no_further_than_is_bearable(connected: Connected) -> None:
    status, content = connected.fake.taken
    connected.fake.answer = (status, {"more": "x" * 300_000, **content})
    assert isinstance(await connected.adapter.place(CALL), Unknown)


@pytest.mark.parametrize("fault", ["hangs", "hangs up"])
async def test_a_provider_that_does_not_answer_leaves_the_call_unknown_and_is_not_asked_again(connected: Connected, fault: str) -> None:
    connected.fake.answer = "taken"
    await connected.adapter.place(CALL)  # so that the next request goes over a connection that was used before
    connected.fake.answer = fault
    assert isinstance(await connected.adapter.place(CALL), Unknown)
    assert len(connected.fake.posts) == 2


async def test_nobody_listening_is_surely_not_placed(connected: Connected) -> None:
    adapter = ADAPTERS[connected.kind][0](connected.http, f"http://127.0.0.1:{free_port()}")
    answer = await adapter.place(CALL)
    assert isinstance(answer, NotPlaced)
    assert not answer.too_many


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, Refused),
        (402, Refused),
        (422, Refused),
        (401, NotPlaced),
        (403, NotPlaced),
        (404, NotPlaced),
        (405, NotPlaced),
        (429, NotPlaced),
        (302, NotPlaced),
        (408, Unknown),
        (500, Unknown),
        (502, Unknown),
        (503, Unknown),
        (201, Unknown),
        (202, Unknown),
    ],
)
async def test_each_status_means_what_it_surely_says(connected: Connected, status: int, answer: type) -> None:
    connected.fake.answer = (status, {})
    connected.fake.headers = {"Location": "/elsewhere", "Retry-After": "1"}
    assert isinstance(await connected.adapter.place(CALL), answer)
    assert len(connected.fake.posts) == 1


@pytest.mark.parametrize(("status", "doubtful"), [(401, False), (405, False), (302, False), (403, True), (404, True)])
async def test_only_a_403_or_404_may_be_about_the_call_as_well_as_about_us(connected: Connected, status: int, doubtful: bool) -> None:
    connected.fake.answer = (status, {})
    assert await connected.adapter.place(CALL) == NotPlaced(f"the provider answered {status}", doubtful=doubtful)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Tue, 01 Jan 2030 09:01:30 GMT", "Date": "Tue, 01 Jan 2030 09:00:00 GMT"}, 90.0),
        ({"Retry-After": "Tue, 01 Jan 2030 08:00:00 GMT", "Date": "Tue, 01 Jan 2030 09:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
async def test_too_many_says_when_to_come_back(connected: Connected, headers: dict[str, str], seconds: float | None) -> None:
    connected.fake.answer, connected.fake.headers = (429, {"code": 20429}), headers
    assert await connected.adapter.place(CALL) == NotPlaced("the provider answered 429", too_many=True, retry_after_seconds=seconds)


@pytest.mark.parametrize("status", [200, 201, 400, 500])
async def test_an_answer_of_any_other_shape_is_read_by_its_status(connected: Connected, status: int) -> None:
    contents: list[Any] = [[], "x", None, {"id": 7, "sid": 7, "code": "x"}, {"code": None}, {"id": "", "sid": ""}]
    for content in contents:
        connected.fake.answer = (status, content)
        assert isinstance(await connected.adapter.place(CALL), Refused if status == 400 else Unknown)


async def test_what_is_said_of_a_call_holds_no_number(connected: Connected) -> None:
    number = task().customer["number"]
    for status in (400, 401, 429, 500):
        connected.fake.answer = (status, {"code": 21211, "message": f"{number} is not valid"})
        answer = await connected.adapter.place(CALL)
        assert not isinstance(answer, Placed)
        assert number not in answer.error
