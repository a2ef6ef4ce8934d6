"""Owns that a PostgreSQL which went away without a word is noticed: TCP itself waits a quarter of an hour, or for ever."""

import socket
from typing import Any

GIVEN_UP_AFTER_SECONDS = 30
"""Without an answer of the other machine's kernel. A server that is merely busy answers there, so that no long statement is cut."""
_ASKED_AFTER_SECONDS = 10
_ASKED_EVERY_SECONDS = 5


def notice_vanished_peer(connection: Any, record: Any) -> None:
    """Of SQLAlchemy's event `connect`: the operations of the new asyncpg connection fail once the peer is given up."""
    own: socket.socket | None = connection.driver_connection._transport.get_extra_info("socket")
    if own is None or own.family not in (socket.AF_INET, socket.AF_INET6):
        return
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # as this system names them: macOS has no TCP_USER_TIMEOUT, and another name for the idle time
    for names, value in (
        (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), _ASKED_AFTER_SECONDS),
        (("TCP_KEEPINTVL",), _ASKED_EVERY_SECONDS),
        (("TCP_KEEPCNT",), (GIVEN_UP_AFTER_SECONDS - _ASKED_AFTER_SECONDS) // _ASKED_EVERY_SECONDS),
        (("TCP_USER_TIMEOUT",), GIVEN_UP_AFTER_SECONDS * 1_000),
    ):
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            own.setsockopt(socket.IPPROTO_TCP, option, value)
