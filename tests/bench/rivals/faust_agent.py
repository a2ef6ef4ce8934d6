"""A stock Faust agent with two tables, in memory with a changelog in Kafka, which is Faust's default."""

import asyncio
import threading
from typing import Any

import faust
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.bench.rivals.rules import BECOMES, CREATED, NO_CALLS, recount
from tests.bench.rivals.task import Task, finish, read_task, say, until_asked

_PARTITIONS = 6
_TABLES = ("calls", "campaigns")


async def create_changelogs(task: Task) -> None:
    """Faust makes them itself, but an agent that writes to a table before all have heard of its changelog crashes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=task.servers)
    await admin.start()
    try:
        names = [f"{task.group}-{table}-changelog" for table in _TABLES]
        await admin.create_topics([NewTopic(name, _PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"}) for name in names])
        while any(topic["error_code"] or len(topic["partitions"]) < _PARTITIONS for topic in await admin.describe_topics(names)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


def make_app(task: Task) -> faust.App:
    app = faust.App(
        task.group,
        broker=f"kafka://{task.servers}",
        datadir=task.directory / "faust",
        autodiscover=False,
        web_enabled=False,
        topic_partitions=_PARTITIONS,
    )
    topic = app.topic(task.topic, key_type=str, key_serializer="raw", value_serializer="json", partitions=_PARTITIONS)
    calls, campaigns = (app.Table(name, partitions=_PARTITIONS) for name in _TABLES)

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def fold(events: Any) -> None:
        began = False
        async for event in events:
            if not began:
                began = True
                say("begin")
            rank = BECOMES.get(event["type"])
            if rank is not None:
                before = calls.get(event["callid"])
                if before is None or before[0] < rank:
                    reason = event["data"].get("endedReason", "")
                    counters = campaigns[event["subject"]]
                    recount(counters, before and before[0], rank, reason)
                    campaigns[event["subject"]] = counters
                    calls[event["callid"]] = [rank, reason]
            elif event["type"] == CREATED and event["subject"] not in campaigns:
                campaigns[event["subject"]] = list(NO_CALLS)

    def dump() -> None:
        until_asked()
        finish(task, ((call_id, *state) for call_id, state in calls.items()), campaigns.items())

    threading.Thread(target=dump, daemon=True).start()
    return app


if __name__ == "__main__":
    own_task = read_task()
    asyncio.run(create_changelogs(own_task))
    faust.Worker(make_app(own_task), loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()
