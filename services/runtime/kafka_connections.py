"""Owns that a request on a connection which was just closed is an error of Kafka's, whatever event loop runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class HeedfulConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka ships no types
    """For a few turns of the loop aiokafka does not know yet that its transport is closed.

    asyncio's own transports take what is written then, and drop it; uvloop's raise `RuntimeError`, which aiokafka expects nowhere: its
    metadata or coordinator task ends by it without a word, and its client does nothing ever after.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:
        with self._heeding():
            return super().send(request, expect_response)

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:
        with self._heeding():
            return super()._send_sasl_token(payload, expect_response)

    @contextmanager
    def _heeding(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if self._writer is None or not self._writer.transport.is_closing():
                raise
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} closed") from error


def heed_closed_connections() -> None:
    """Have every Kafka client of this process make such connections from here on."""
    aiokafka.conn.AIOKafkaConnection = HeedfulConnection
