"""Owns the fold in plain dictionaries, for the loops that have nothing but memory."""

import orjson

from tests.bench.rivals.rules import BECOMES, CREATED, NO_CALLS, recount
from tests.bench.rivals.task import Task, finish


class MemoryFold:
    def __init__(self) -> None:
        self._calls: dict[str, tuple[int, str]] = {}
        self._campaigns: dict[str, list[int]] = {}

    def fold(self, value: bytes) -> None:
        event = orjson.loads(value)
        rank = BECOMES.get(event["type"])
        if rank is not None:
            call_id = event["callid"]
            before = self._calls.get(call_id)
            if before is None or before[0] < rank:
                reason = event["data"].get("endedReason", "")
                recount(self._campaigns[event["subject"]], before and before[0], rank, reason)
                self._calls[call_id] = (rank, reason)
        elif event["type"] == CREATED:
            self._campaigns.setdefault(event["subject"], list(NO_CALLS))

    def finish(self, task: Task) -> None:
        calls = ((call_id, rank, reason) for call_id, (rank, reason) in self._calls.items())
        finish(task, calls, self._campaigns.items())
