"""One stack for all end-to-end tests that only use it; those that break it start their own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from infra.stack.plan import children_of
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.end_to_end.user import FAST, User, user_of
from tests.support.ports import free_port
from tests.support.stack import RunningStack


@pytest.fixture(scope="package")
def shared_stack(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """All services on the session's broker; the org `limited` may have 5 calls at once, every other 200."""
    settings = Settings(
        kafka_bootstrap_servers=kafka,
        topic_prefix="shared-",
        topic_partitions=2,
        data_dir=tmp_path_factory.mktemp("shared"),
        api_port=free_port(),
        engine_port=free_port(),
        projector_port=free_port(),
        dialer_port=free_port(),
        notifier_port=free_port(),
        simulator_port=free_port(),
    )
    limits = {"ORG_CONCURRENCY_LIMIT": "200", "ORG_CONCURRENCY_LIMITS": '{"limited": 5}'}
    stack = RunningStack(settings, children_of(settings, **FAST, **limits))
    try:
        asyncio.run(_start(stack))
        yield stack
    finally:
        for child in stack.children.values():
            child.kill()


async def _start(stack: RunningStack) -> None:
    await ensure_topics(stack.settings)
    for child in stack.children.values():
        child.start()
    for name in stack.children:
        await stack.until_ready(name)


@pytest.fixture
async def user(shared_stack: RunningStack) -> AsyncIterator[User]:
    """A user of an org of its own on the shared stack."""
    async with user_of(shared_stack, f"org-{uuid4().hex[:8]}") as user:
        yield user
