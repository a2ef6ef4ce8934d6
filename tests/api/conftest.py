"""The API's fixtures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.service import Service, running_service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """The API on SQLite."""
    async with running_service(tmp_path) as running:
        yield running


@pytest.fixture
async def service_on(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    """The API with a read model on each kind of database in turn."""
    async with running_service(tmp_path, database_url) as running:
        yield running
