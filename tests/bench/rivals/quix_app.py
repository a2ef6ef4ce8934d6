"""A Quix Streams application: a stateful function over the topic, in RocksDB with a changelog in Kafka, exactly once."""

from typing import Any

import orjson
from quixstreams import Application, State
from quixstreams.models import JSONDeserializer
from rocksdict import Rdict

from tests.bench.rivals.rules import BECOMES, CREATED, NO_CALLS, recount
from tests.bench.rivals.task import Task, finish, read_task, say, until_asked


def fold(event: dict[str, Any], state: State) -> None:
    """The state is the one of the message's key, which is the org; call and campaign ids are UUIDs and do not meet."""
    rank = BECOMES.get(event["type"])
    if rank is not None:
        before = state.get(event["callid"])
        if before is None or before[0] < rank:
            reason = event["data"].get("endedReason", "")
            counters = state.get(event["subject"])
            recount(counters, before and before[0], rank, reason)
            state.set(event["subject"], counters)
            state.set(event["callid"], [rank, reason])
    elif event["type"] == CREATED and state.get(event["subject"]) is None:
        state.set(event["subject"], list(NO_CALLS))


def main() -> None:
    task = read_task()
    app = Application(
        broker_address=task.servers,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=task.directory / "state",
        loglevel="ERROR",
    )
    topic = app.topic(task.topic, key_deserializer="str", value_deserializer=JSONDeserializer(loads=orjson.loads))
    began = False

    def first(event: dict[str, Any]) -> None:
        nonlocal began
        if not began:
            began = True
            say("begin")

    events = app.dataframe(topic).update(first)
    events.update(fold, stateful=True)
    app.run(count=task.events, collect=False)
    say("done")
    until_asked()
    dump(task)


def dump(task: Task) -> None:
    """Out of the RocksDB of each partition, whose keys are an org, a bar, and the id as JSON."""
    calls, campaigns = [], []
    for path in (task.directory / "state").rglob("CURRENT"):
        for key, value in Rdict(str(path.parent)).items():
            name, _, identifier = key.rpartition(b"|")
            if not name:
                continue
            state = orjson.loads(value)
            if len(state) == len(NO_CALLS):
                campaigns.append((orjson.loads(identifier), state))
            else:
                calls.append((orjson.loads(identifier), *state))
    finish(task, calls, campaigns)


if __name__ == "__main__":
    main()
