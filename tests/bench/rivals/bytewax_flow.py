"""A Bytewax dataflow: decoded by the batch, keyed by campaign, folded by a stateful operator; in memory, without a recovery store."""

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main

from tests.bench.rivals.rules import BECOMES, CREATED, NO_CALLS, recount
from tests.bench.rivals.task import Task, finish, read_task, say, until_asked

Change = tuple[str, int, str]
"""A call's id, the rank that it gets, and why it ended."""


class Campaign(StatefulBatchLogic):  # type: ignore[misc]
    """One campaign: its calls and its counters. At the end of the topic it gives itself out."""

    def __init__(self, snapshot: Any) -> None:
        self.calls: dict[str, tuple[int, str]] = {}
        self.counters = list(NO_CALLS)

    def on_batch(self, values: list[Change | None]) -> tuple[Iterable[Any], bool]:
        calls = self.calls
        for change in values:
            if change is None:
                continue
            call_id, rank, reason = change
            before = calls.get(call_id)
            if before is None or before[0] < rank:
                recount(self.counters, before and before[0], rank, reason)
                calls[call_id] = (rank, reason)
        return (), False

    def on_eof(self) -> tuple[Iterable[Any], bool]:
        return (self,), False

    def snapshot(self) -> Any:
        return None


class Progress:
    """Tells when the first event comes and when the last one is folded."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.seen = 0

    def decode(self, messages: list[Any]) -> Iterable[tuple[str, Change | None]]:
        if not self.seen:
            say("begin")
        self.seen += len(messages)
        decoded: list[tuple[str, Change | None]] = []
        for message in messages:
            event = orjson.loads(message.value)
            rank = BECOMES.get(event["type"])
            if rank is not None:
                decoded.append((event["subject"], (event["callid"], rank, event["data"].get("endedReason", ""))))
            elif event["type"] == CREATED:
                decoded.append((event["subject"], None))
        return decoded


class Collected(DynamicSink[Any], StatelessSinkPartition[Any]):  # type: ignore[misc]
    """Keeps the campaigns that are given out at the end; the first one says that all is folded."""

    def __init__(self) -> None:
        self.campaigns: dict[str, Campaign] = {}

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "Collected":
        return self

    def write_batch(self, items: list[tuple[str, Campaign]]) -> None:
        if not self.campaigns:
            say("done")
            until_asked()
        self.campaigns.update(items)


def main() -> None:
    task = read_task()
    progress, collected = Progress(task), Collected()
    flow = Dataflow("fold")
    messages = op.input("read", flow, KafkaSource([task.servers], [task.topic], tail=False, batch_size=10_000))
    changes = op.flat_map_batch("decode", messages, progress.decode)
    campaigns = op.stateful_batch("fold", changes, Campaign)
    op.output("collect", campaigns, collected)
    cluster_main(flow, [], 0)
    calls = ((call_id, *state) for campaign in collected.campaigns.values() for call_id, state in campaign.calls.items())
    finish(task, calls, ((campaign_id, campaign.counters) for campaign_id, campaign in collected.campaigns.items()))


if __name__ == "__main__":
    main()
