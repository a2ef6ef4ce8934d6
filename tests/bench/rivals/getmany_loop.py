"""The bare aiokafka loop: `getmany` until all is read; with `--fold` as the first argument it decodes and folds in memory."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

from tests.bench.rivals.memory_fold import MemoryFold
from tests.bench.rivals.task import read_task, say, until_asked


async def main() -> None:
    memory = MemoryFold() if sys.argv[1] == "--fold" else None
    del sys.argv[1]
    task = read_task()
    consumer = AIOKafkaConsumer(
        task.topic,
        bootstrap_servers=task.servers,
        group_id=task.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    read = 0
    try:
        while read < task.events:
            fetched = await consumer.getmany(timeout_ms=1_000, max_records=None if read else 1)
            if fetched and not read:
                say("begin")
                until_asked()
            for records in fetched.values():
                read += len(records)
                if memory is not None:
                    for record in records:
                        memory.fold(record.value)
        say("done")
        until_asked()
    finally:
        await consumer.stop()
    if memory is not None:
        memory.finish(task)


if __name__ == "__main__":
    asyncio.run(main())
