"""Owns which addresses a customer's URL may lead to: only public ones, so that nobody makes us ask our own network (SSRF).

The check stands where the connection is made: on the addresses that a name was resolved to, which are the ones connected to, and on
hosts that are addresses already. A name that is resolved anew, a redirect and a rebound name all pass it again.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.tracing import Trace
from yarl import URL

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_REFUSED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Within global unicast: IETF's special uses with Teredo, documentation, and 6to4, which wraps any IPv4 address."""
_REFUSED_V4 = tuple(map(ip_network, ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3")))
"""What some releases of Python count as public: shared, special and test ranges, multicast and reserved."""
_LONGEST_HOST = 253
"""Characters of a name in DNS as it is written (RFC 1035)."""


class AddressRefusedError(aiohttp.ClientError):
    """The URL leads to an address that is not public, and its host is not among the allowed. Not retriable; holds no part of the URL."""

    def __init__(self) -> None:
        super().__init__("leads to an address that is not public")


def server_of(url: str) -> str:
    """The URL's `host:port`, by which its server is told from others: short and printable ASCII, so that any store and index takes it.

    `-` where the URL can not be read, or its host is none that DNS could know.
    """
    try:
        parsed = URL(url)
        host, port = parsed.raw_host or "", parsed.port
    except ValueError:
        return "-"
    return f"{host}:{port}" if len(host) <= _LONGEST_HOST and host.isascii() and host.isprintable() else "-"


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet (IANA's special-purpose registries); what is no address is not.

    An IPv4 address within an IPv6 one counts as the IPv4 address where the network translates it (RFC 4291, RFC 6052); the
    other ways to wrap one, and addresses with a zone, are refused.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            return False
        if parsed.ipv4_mapped is not None:
            return _is_public_v4(parsed.ipv4_mapped)
        if parsed in _NAT64:
            return _is_public_v4(IPv4Address(int(parsed) & 0xFFFFFFFF))
        return parsed in _GLOBAL_UNICAST and parsed.is_global and not any(parsed in network for network in _REFUSED_V6)
    return _is_public_v4(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _REFUSED_V4)


class AllowedHosts:
    """Hosts that may be private: `name`, `name:port`, an address, or `[address]:port` for IPv6; written as in the URL, case aside."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._hosts = frozenset(host.strip().lower() for host in hosts if host.strip())

    @classmethod
    def parse(cls, text: str) -> "AllowedHosts":
        """Comma-separated."""
        return cls(text.split(","))

    def allow(self, host: str, port: int) -> bool:
        bare = host.strip("[]").lower()
        written = f"[{bare}]" if ":" in bare else bare
        return not self._hosts.isdisjoint({bare, written, f"{written}:{port}"})


class GuardedResolver(AbstractResolver):
    """Resolves by `inner`; raises `AddressRefusedError` where any address that comes out is not public."""

    def __init__(self, inner: AbstractResolver, allowed: AllowedHosts) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not self._allowed.allow(host, port) and not all(is_public(result["host"]) for result in found):
            raise AddressRefusedError
        return found

    async def close(self) -> None:
        await self._inner.close()


class GuardedConnector(aiohttp.TCPConnector):
    """Connects to public addresses and allowed hosts only.

    aiohttp does not ask the resolver about a host that is an address, so that is checked here.
    """

    def __init__(self, allowed: AllowedHosts, inner: AbstractResolver | None = None, connections: int = 0) -> None:
        """`inner` defaults to the system's resolver; `connections` 0 means without a limit."""
        super().__init__(limit=connections, resolver=GuardedResolver(inner or aiohttp.ThreadedResolver(), allowed))
        self._allowed = allowed

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> aiohttp.connector.Connection:
        host, port = req.url.raw_host or "", req.url.port or 0
        if _is_literal(host) and not self._allowed.allow(host, port) and not is_public(host):
            raise AddressRefusedError
        return await super().connect(req, traces, timeout)


def _is_literal(host: str) -> bool:
    return not host or ":" in host or host.replace(".", "").isdigit()


def guarded_session(allowed: AllowedHosts, connections: int = 0) -> aiohttp.ClientSession:
    """A session for customers' URLs: guarded, without cookies, without the environment's proxies."""
    return aiohttp.ClientSession(
        connector=GuardedConnector(allowed, connections=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
