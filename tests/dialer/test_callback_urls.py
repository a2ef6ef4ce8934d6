"""The callback URL authenticates what it names."""

import asyncio
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from services.runtime.callback_urls import CALLBACK_ROUTE, callback_url, twilio_callback_url, verify, verify_twilio

SECRET = b"a secret"
CAMPAIGN = "6f0c6c5e-5a3c-5d53-8d6d-0b8d0d6c2b11"
CALL = "0f2f7a44-93b0-5c38-9f27-6a8f2d1f5a22"
IDENTIFIERS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


def mac_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_url_verifies_for_the_parts_it_was_made_of() -> None:
    url = callback_url("http://api:8080/", SECRET, "acme", CAMPAIGN, CALL, 2)
    assert url.startswith(f"http://api:8080/provider-callbacks/acme/{CAMPAIGN}/{CALL}/2/")
    assert verify(SECRET, "acme", CAMPAIGN, CALL, "2", mac_of(url))


@pytest.mark.parametrize(
    ("secret", "org", "call", "attempt"),
    [(b"another", "acme", CALL, "2"), (SECRET, "acme2", CALL, "2"), (SECRET, "acme", CAMPAIGN, "2"), (SECRET, "acme", CALL, "02")],
)
def test_a_mac_is_worth_nothing_for_another_part_or_secret(secret: bytes, org: str, call: str, attempt: str) -> None:
    mac = mac_of(callback_url("http://api", SECRET, "acme", CAMPAIGN, CALL, 2))
    assert not verify(secret, org, CAMPAIGN, call, attempt, mac)


def test_a_url_for_twilio_holds_for_its_provider_alone_and_neither_kind_for_the_other() -> None:
    url = twilio_callback_url("http://api:8080", SECRET, "twilio-us", "acme", CAMPAIGN, CALL, 2)
    assert url.startswith(f"http://api:8080/provider-callbacks/twilio/twilio-us/acme/{CAMPAIGN}/{CALL}/2/")
    assert verify_twilio(SECRET, "twilio-us", "acme", CAMPAIGN, CALL, "2", mac_of(url))
    assert not verify_twilio(SECRET, "twilio-eu", "acme", CAMPAIGN, CALL, "2", mac_of(url))
    assert not verify(SECRET, "acme", CAMPAIGN, CALL, "2", mac_of(url))
    plain = callback_url("http://api", SECRET, "acme", CAMPAIGN, CALL, 2)
    assert not verify_twilio(SECRET, "twilio-us", "acme", CAMPAIGN, CALL, "2", mac_of(plain))


def test_the_parts_of_one_kind_of_url_are_worth_nothing_as_one_part_of_the_other() -> None:
    mac = mac_of(twilio_callback_url("http://api", SECRET, "twilio-us", "acme", CAMPAIGN, CALL, 2))
    assert not verify(SECRET, "twilio\ntwilio-us\nacme", CAMPAIGN, CALL, "2", mac)
    assert not verify_twilio(SECRET, "twilio-us\nacme", CAMPAIGN, CALL, "2", "", mac)
    plain = mac_of(callback_url("http://api", SECRET, "twilio", CAMPAIGN, CALL, 2))
    assert not verify_twilio(SECRET, f"{CAMPAIGN}\n{CALL}\n2", "", "", "", "", plain)


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x1f", "\x7f"])
def test_no_part_with_a_control_character_is_ours_whatever_its_mac(character: str) -> None:
    org = f"ac{character}me"
    assert not verify(SECRET, org, CAMPAIGN, CALL, "2", mac_of(callback_url("http://api", SECRET, org, CAMPAIGN, CALL, 2)))
    url = twilio_callback_url("http://api", SECRET, org, "acme", CAMPAIGN, CALL, 2)
    assert not verify_twilio(SECRET, org, "acme", CAMPAIGN, CALL, "2", mac_of(url))


def test_a_mac_that_is_no_ascii_is_wrong_and_not_an_error() -> None:
    assert not verify(SECRET, "acme", CAMPAIGN, CALL, "2", "é\udcff")


@settings(max_examples=30, deadline=None)
@given(IDENTIFIERS)
def test_any_org_fits_in_the_path_as_one_part(org: str) -> None:
    path = urlsplit(callback_url("http://api", SECRET, org, CAMPAIGN, CALL, 1)).path
    assert path.count("/") == 6
    if org not in (".", ".."):  # dots alone would be taken for a step in the path by HTTP clients
        assert asyncio.run(_parts_as_received(path))["org"] == org


async def _parts_as_received(path: str) -> dict[str, str]:
    received: dict[str, str] = {}

    async def receive(request: web.Request) -> web.Response:
        received.update(request.match_info)
        return web.Response()

    app = web.Application()
    app.router.add_post(CALLBACK_ROUTE, receive)
    async with TestClient(TestServer(app)) as client:
        url = URL(str(client.make_url("/")).rstrip("/") + path, encoded=True)
        assert (await client.session.post(url)).status == 200
    return received
