"""Both worlds in which a partition of the log is tested."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.engine.logs import KafkaLog, LogWorld, MemoryLog


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[LogWorld]:
    if request.param == "memory":
        yield MemoryLog()
        return
    async with AsyncExitStack() as stack:
        yield await KafkaLog.start(request.getfixturevalue("settings"), stack)
