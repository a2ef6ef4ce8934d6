"""The dialer with a second provider beside the first, a Twilio that is a real HTTP server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestServer

from services.runtime.callback_urls import verify_twilio
from services.runtime.settings import Settings
from tests.dialer.engine_by_hand import EngineByHand
from tests.dialer.fake_providers import ACCOUNT, ADAPTERS, SID, FakeProvider
from tests.dialer.given import begun
from tests.dialer.running import Provider, running
from tests.support.eventually import eventually


@pytest.fixture
async def twilio() -> AsyncIterator[tuple[FakeProvider, str]]:
    fake = FakeProvider(ADAPTERS["twilio"][1], "taken")
    async with TestServer(fake.app()) as server:
        yield fake, str(server.make_url(""))


def with_twilio(url: str) -> dict[str, Any]:
    """Calls from the phone number `p` go to Twilio, all others to the provider that is there anyway."""
    config = {"kind": "twilio", "accountSid": ACCOUNT, "authToken": "12345", "url": "https://app.example.com/voice", "apiUrl": url}
    rule = {"phoneNumberId": "p", "provider": "twilio-us"}
    choice = {"providers": {"twilio-us": config | {"callers": {"p": "+14155550100"}}}, "rules": [rule]}
    return {"providers": json.dumps(choice), "callback_base_url": "https://calls.example.com", "provider_timeout_seconds": 1}


async def test_a_call_is_placed_at_the_provider_of_its_phone_number_which_reports_to_a_url_that_verifies(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    await engine.create(1)
    async with running(settings, provider, **with_twilio(url)):
        await engine.queue(0)
        (claim,) = await engine.claims_sent(1)
        assert claim.data.to_wire()["provider"] == "twilio-us"
        await engine.grant(claim)
        (outcome,) = await engine.outcomes_said(1)
    assert (outcome.outcome, outcome.provider, outcome.provider_call_id) == ("placed", "twilio-us", SID)
    path = urlsplit(dict(fake.forms[0])["StatusCallback"]).path
    told_provider, org, campaign, call, attempt, mac = path.removeprefix("/provider-callbacks/twilio/").split("/")
    assert (told_provider, call, attempt) == ("twilio-us", claim.call_id, "1")
    assert verify_twilio(settings.callback_key(), told_provider, org, campaign, call, attempt, mac)
    assert (len(fake.posts), provider.asked) == (1, 0)


async def test_a_call_that_twilio_leaves_without_an_answer_is_unknown_and_neither_placed_again_nor_looked_up_elsewhere(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    fake.answer = "hangs"
    await engine.create(2)
    async with running(settings, provider, **with_twilio(url)):
        await engine.queue(0)
        await engine.grant((await engine.claims_sent(1))[0])
        assert [outcome.outcome for outcome in await engine.outcomes_said(1)] == ["unknown"]
        await engine.unknown(0, "twilio-us")
        fake.answer = "taken"
        await engine.queue(1)
        await engine.grant((await engine.claims_sent(2))[1])
        assert [outcome.outcome for outcome in await engine.outcomes_said(2)] == ["unknown", "placed"]
    assert engine.reports() == []
    assert (len(fake.posts), provider.asked) == (2, 0)


async def test_calls_that_wait_for_a_provider_leave_room_for_those_of_another(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    fake.answer, fake.headers = (429, {"code": 20429, "status": 429}), {"Retry-After": "60"}
    await engine.create(8, phones=("p", "q"))
    async with running(settings, provider, dialer_max_taken=2, **with_twilio(url)):
        with begun(engine.grants_all()):
            await engine.queue(0)
            await eventually(lambda: asyncio.sleep(0, fake.posts))
            await engine.queue(2, 4, 6, 1)
            await eventually(lambda: asyncio.sleep(0, provider.asked))
    assert (len(fake.posts), provider.asked) == (1, 1)


async def test_too_many_calls_wait_and_all_are_placed_once_under_their_first_attempt(
    settings: Settings, engine: EngineByHand, provider: Provider, twilio: tuple[FakeProvider, str]
) -> None:
    fake, url = twilio
    fake.answer, fake.headers = (429, {"code": 20429, "status": 429}), {"Retry-After": "1"}
    await engine.create(3)
    async with running(settings, provider, **with_twilio(url)):
        with begun(engine.grants_all()):
            await engine.queue(0, 1, 2)
            await eventually(lambda: asyncio.sleep(0, fake.posts))
            fake.answer = "taken"
            await eventually(lambda: asyncio.sleep(0, engine.placed()), lambda placed: len(placed) == 3)
    assert max(engine.placed().values()) == 1
    assert {claim.data.to_wire()["attempt"] for claim in engine.claims()} == {1}
    refused = sum(outcome.error == "the provider answered 429" for outcome in engine.outcomes())
    assert len(fake.posts) == 3 + refused
