"""Customers' URLs lead to public addresses only, whatever their host looks like and whatever it resolves to."""

import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.url_guard import AddressRefusedError, AllowedHosts, GuardedConnector, guarded_session, is_public, server_of

PRIVATE_V4 = ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/3"]
WRAPPED = ["::ffff:0:0", "64:ff9b::", "2002::", "::", "2001::"]


def addresses_in(*networks: str) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.one_of([st.ip_addresses(network=network) for network in networks])


@given(addresses_in(*PRIVATE_V4))
def test_no_private_shared_or_multicast_ipv4_address_is_public_however_it_is_wrapped(address: IPv4Address | IPv6Address) -> None:
    number = int(address)
    assert not is_public(str(address))
    for prefix in WRAPPED:
        assert not is_public(str(IPv6Address(int(IPv6Address(prefix)) | number))), prefix
    assert not is_public(str(IPv6Address(int(IPv6Address("2002::")) | number << 80)))
    assert not is_public(str(IPv6Address(int(IPv6Address("64:ff9b:1::")) | number)))


@given(
    st.one_of(
        [st.ip_addresses(v=6, network=network) for network in ("::/8", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2002::/16")]
    )
)
def test_no_local_or_multicast_ipv6_address_is_public(address: IPv4Address | IPv6Address) -> None:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    assert not is_public(str(address)) or (mapped is not None and mapped.is_global)


@given(st.ip_addresses())
def test_what_is_public_is_global_by_the_registries_and_no_multicast(address: IPv4Address | IPv6Address) -> None:
    if is_public(str(address)):
        inner = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
        assert inner.is_global
        assert not any((inner.is_multicast, inner.is_loopback, inner.is_link_local, inner.is_private, inner.is_unspecified))


@given(st.text(max_size=30))
def test_what_is_no_address_is_not_public(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        assert not is_public(text)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_addresses_of_the_public_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_an_allowed_host_is_allowed_as_it_is_written_in_the_url() -> None:
    allowed = AllowedHosts.parse(" Hooks.test, 127.0.0.1:8000 ,[::1]:9000")
    assert allowed.allow("hooks.test", 80)
    assert allowed.allow("127.0.0.1", 8000)
    assert allowed.allow("::1", 9000)
    assert not allowed.allow("127.0.0.1", 8001)
    assert not allowed.allow("other.hooks.test", 80)
    assert not AllowedHosts.parse("").allow("", 0)


class Names(AbstractResolver):
    """Resolves each name to what it holds for it, in turn."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = answers

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = self.answers[host]
        address = found.pop(0) if len(found) > 1 else found[0]
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Inside:
    """A server of our own network that must not be asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response()


@pytest.fixture
async def inside() -> AsyncIterator[tuple[Inside, int]]:
    inside, app = Inside(), web.Application()
    app.router.add_route("*", "/{any:.*}", inside.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        assert server.port is not None
        yield inside, server.port


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f.1", "0x7f000001", "0", "127.0.0.1.", "[::]"],
)
async def test_a_url_into_our_own_network_is_not_asked_however_it_is_written(inside: tuple[Inside, int], host: str) -> None:
    ours, port = inside
    async with guarded_session(AllowedHosts()) as http:
        with pytest.raises((aiohttp.ClientError, ValueError)):
            await http.post(f"http://{host}:{port}/")
    assert ours.asked == 0


async def test_a_name_that_resolves_to_a_private_address_is_refused(inside: tuple[Inside, int]) -> None:
    ours, port = inside
    async with aiohttp.ClientSession(connector=GuardedConnector(AllowedHosts(), Names(evil=["127.0.0.1"]))) as http:
        with pytest.raises(AddressRefusedError):
            await http.post(f"http://evil:{port}/")
    assert ours.asked == 0


async def test_a_name_that_is_rebound_is_checked_at_the_address_that_is_connected_to(inside: tuple[Inside, int]) -> None:
    ours, port = inside
    names = Names(rebound=["8.8.8.8", "127.0.0.1"])
    connector = GuardedConnector(AllowedHosts(), names)
    assert [found["host"] for found in await connector._resolver.resolve("rebound", port)] == ["8.8.8.8"]
    async with aiohttp.ClientSession(connector=connector) as http:
        with pytest.raises(AddressRefusedError):
            await http.post(f"http://rebound:{port}/")
    assert ours.asked == 0


async def test_a_redirect_into_our_own_network_is_refused_even_where_redirects_are_followed(inside: tuple[Inside, int]) -> None:
    ours, port = inside
    app = web.Application()

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{port}/")

    app.router.add_post("/", away)
    async with TestServer(app, host="127.0.0.1") as server:
        allowed = AllowedHosts([f"127.0.0.1:{server.port}"])
        async with guarded_session(allowed) as http:
            with pytest.raises(AddressRefusedError):
                await http.post(f"http://127.0.0.1:{server.port}/", allow_redirects=True)
    assert ours.asked == 0


async def test_an_allowed_host_is_asked(inside: tuple[Inside, int]) -> None:
    ours, port = inside
    async with guarded_session(AllowedHosts.parse(f"127.0.0.1:{port},localhost")) as http:
        for host in ("127.0.0.1", "localhost"):
            async with http.post(f"http://{host}:{port}/") as response:
                assert response.status == 200
    assert ours.asked == 2


@given(st.text(), st.text())
def test_a_server_is_told_from_others_by_a_short_printable_name(host: str, tail: str) -> None:
    for url in (f"https://{host}", f"https://{host}/{tail}", host):
        server = server_of(url)
        assert server.isascii()
        assert server.isprintable()
        assert 0 < len(server) < 300


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://User:pw@Hooks.Test/in", "hooks.test:443"),
        ("http://b\u00fccher.test:81/", "xn--bcher-kva.test:81"),
        ("http://[::1]/", "::1:80"),
        ("http://a\0b/", "-"),
        ("http://" + "a" * 254 + "/", "-"),
        ("http://a:99999/", "-"),
    ],
)
def test_a_server_is_named_by_host_and_port_as_dns_knows_them(url: str, server: str) -> None:
    assert server_of(url) == server
