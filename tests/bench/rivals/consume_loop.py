"""The bare confluent-kafka loop: `consume` until all is read; with `--fold` as the first argument it decodes and folds in memory."""

import sys

from confluent_kafka import Consumer

from tests.bench.rivals.memory_fold import MemoryFold
from tests.bench.rivals.task import read_task, say, until_asked

_MOST_MESSAGES = 10_000


def main() -> None:
    memory = MemoryFold() if sys.argv[1] == "--fold" else None
    del sys.argv[1]
    task = read_task()
    options = {"bootstrap.servers": task.servers, "group.id": task.group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer(options)
    consumer.subscribe([task.topic])
    read = 0
    while read < task.events:
        messages = consumer.consume(_MOST_MESSAGES if read else 1, timeout=0.5)
        if messages and not read:
            say("begin")
            until_asked()
        for message in messages:
            if message.error() is not None:
                raise RuntimeError(str(message.error()))
            if memory is not None:
                memory.fold(message.value())
        read += len(messages)
    say("done")
    until_asked()
    consumer.close()
    if memory is not None:
        memory.finish(task)


if __name__ == "__main__":
    main()
