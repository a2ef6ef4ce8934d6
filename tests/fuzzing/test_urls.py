"""A customer's URL, however it is written, leads to public addresses only, and raises nothing that its caller does not expect."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dialer.http_predial import HttpPredial
from services.dialer.predial import PredialFailed
from services.dialer.predial_turns import PredialTurns
from services.notifier.outbox import Delivery
from services.notifier.sending import HttpWebhooks
from services.runtime.url_guard import AllowedHosts, GuardedConnector, is_public
from services.runtime.webhook_signing import org_secret
from tests.dialer.given import task
from tests.fuzzing.anything import any_json
from tests.support.clock import ManualClock

_INSIDE = st.sampled_from(
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1"]
)
_HOST_NAMES = ["localhost", "LOCALHOST", "loc\u00e1lhost", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "inner.test", "a" * 70]
"""The fourth is spelled in circled letters."""


def _spelled(number: int, draw: Any) -> str:
    """An IPv4 address as some program reads it: dotted in decimal, octal and hex, with parts left out, as one number."""
    octets = number.to_bytes(4, "big")
    base = [lambda n: str(n), lambda n: f"0{n:o}", hex, lambda n: f"{n:03d}", lambda n: "".join(chr(ord(c) + 0xFEE0) for c in str(n))]
    spell = [draw(st.sampled_from(base)) for _ in range(4)]
    match draw(st.sampled_from(["dotted", "short", "shorter", "one"])):
        case "dotted":
            return ".".join(write(octet) for write, octet in zip(spell, octets, strict=True))
        case "short":
            return ".".join([spell[0](octets[0]), spell[1](octets[1]), spell[2](octets[2] << 8 | octets[3])])
        case "shorter":
            return ".".join([spell[0](octets[0]), spell[1](number & 0xFFFFFF)])
    return str(spell[0](number))


@st.composite
def _hosts(draw: st.DrawFn) -> str:
    number = draw(st.sampled_from([0x7F000001, 0x0A000001, 0xC0A80001, 0xA9FEA9FE, 0]) | st.integers(0, 2**32 - 1))
    v6 = f"{number >> 16:x}:{number & 0xFFFF:x}"
    kinds = [
        _spelled(number, draw),
        f"[::ffff:{v6}]",
        f"[::{v6}]",
        f"[64:ff9b::{v6}]",
        f"[2002:{v6}::]",
        f"[fe80::1%25{draw(st.sampled_from(['lo', '1', 'eth0']))}]",
        draw(st.sampled_from(_HOST_NAMES)),
        draw(st.text(min_size=1, max_size=20)),
    ]
    host: str = draw(st.sampled_from(kinds))
    return host + draw(st.sampled_from(["", "", ".", "..", "\u3002"]))


@st.composite
def _urls(draw: st.DrawFn) -> str:
    user = draw(st.sampled_from(["", "", "8.8.8.8@", "user:pass@", "8.8.8.8:80@", "%40", "\\@"]))
    port = draw(st.sampled_from(["", ":80", ":0", ":65535", ":99999", ":x", ":"]))
    tail = draw(st.sampled_from(["", "/", "/x?y=1", "?@8.8.8.8/", "#@8.8.8.8", "/%zz", "//", "/\u00e9"]))
    return draw(st.sampled_from(["http", "https", "HTTP"])) + "://" + user + draw(_hosts()) + port + tail


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class _Rebinding(AbstractResolver):
    """The system's reading of numbers; every name is some of the given addresses, others each time."""

    def __init__(self, addresses: Sequence[Sequence[str]]) -> None:
        self._answers = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        try:
            found = [str(item[4][0]) for item in socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)]
        except (OSError, UnicodeError):
            found = list(self._answers.pop(0)) if self._answers else ["8.8.8.8"]
        return [ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0) for address in found]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def _watched(addresses: Sequence[Sequence[str]]) -> AsyncIterator[tuple[aiohttp.ClientSession, list[str]]]:
    """A guarded session none of whose connections is made, and the addresses that it would have connected to."""
    asked: list[str] = []

    async def start_connection(addr_infos: Sequence[Any], **options: Any) -> socket.socket:
        asked.extend(str(info[4][0]) for info in addr_infos)
        raise ConnectionRefusedError

    connector = GuardedConnector(AllowedHosts(), _Rebinding(addresses))
    with patch("aiohttp.connector.aiohappyeyeballs.start_connection", start_connection):
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as http:
            yield http, asked


_ADDRESSES = st.lists(st.lists(_INSIDE | st.just("8.8.8.8"), min_size=1, max_size=2), max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_urls(), _ADDRESSES)
async def test_no_url_is_connected_to_an_address_that_is_not_public(url: str, addresses: list[list[str]]) -> None:
    async with _watched(addresses) as (http, asked):
        for _ in range(2):
            with pytest.raises((aiohttp.ClientError, OSError, ValueError)):
                await http.post(url, allow_redirects=False)
    assert [address for address in asked if not is_public(address)] == []


_HEADERS = st.none() | st.dictionaries(st.text(max_size=12) | st.sampled_from(["Host", "content-type", "X-A"]), any_json, max_size=3)
_SERVERS = st.fixed_dictionaries(
    {"url": _urls() | st.text(min_size=1, max_size=40)},
    optional={
        "timeoutSeconds": st.floats(1, 2) | st.just(10**400),
        "headers": _HEADERS,
        "backoffPlan": any_json | st.just({"type": "fixed", "maxRetries": 2, "baseDelaySeconds": 0}),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_SERVERS)
async def test_whatever_server_a_campaign_names_its_webhooks_and_questions_just_fail(server: dict[str, Any]) -> None:
    clock, secret = ManualClock(), org_secret(b"master", "acme")
    delivery = Delivery("m-1", "acme", "c-1", 1, "campaign.ended", b"{}", server, 0, 0.0)
    async with _watched([["10.0.0.1"]]) as (http, asked):
        answer = await HttpWebhooks(http, clock, lambda _: secret).send(delivery)
        verdict = await HttpPredial(http, clock, lambda _: secret, PredialTurns(10)).ask(task(server=server))
    assert answer.error is not None
    assert isinstance(verdict, PredialFailed)
    assert [address for address in asked if not is_public(address)] == []
    for said in (answer.error, verdict.error):
        assert len(server["url"]) < 12 or server["url"] not in said
