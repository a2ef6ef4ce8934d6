"""Owns the ports that tests give to servers: no other process of the tests gets them, and no system gives them away by itself."""

import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

_BLOCKS = range(10_000, 32_000, 1_000)
"""Below the ports that Linux, macOS and Windows give to whoever connects, or listens on port 0."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that is given away again only after a thousand others."""
    return next(port for port in _own_ports() if _is_free(port))


@cache
def _own_ports() -> Iterator[int]:
    """The ports of a block that is this process' own for as long as it lives, again and again."""
    for first in _BLOCKS:
        lock = socket.socket()
        try:
            lock.bind(("127.0.0.1", first))
        except OSError:
            lock.close()
        else:
            return _ports_beside(lock, first)
    raise RuntimeError(f"every block of ports from {_BLOCKS.start} to {_BLOCKS.stop} is in use by another process")


def _ports_beside(lock: socket.socket, first: int) -> Iterator[int]:
    with lock:
        yield from cycle(range(first + 1, first + _BLOCKS.step))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
