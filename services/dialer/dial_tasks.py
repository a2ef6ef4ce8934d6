"""Owns the wait until the read model has passed an event, and the reading of many calls at once."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from projections.dial_task.task import DialTask
from projections.store.engine import DATABASE_FAULTS
from services.runtime.clock import Clock

_SHORTEST_PAUSE_SECONDS = 0.004
_LONGEST_PAUSE_SECONDS = 0.1
_FAULT_PAUSE_SECONDS = 1.0
_MISSING_PAUSE_SECONDS = 1.0
_BATCH = 500

_log = logging.getLogger(__name__)


class DialTaskReads(Protocol):
    """The part of the read model that a dialer asks."""

    async def next_offsets(self) -> dict[int, int]:
        """The offset of the first event of each partition that is not in the rows."""

    async def dial_tasks(self, call_ids: Iterable[str]) -> dict[str, DialTask]:
        """By call id."""


class DialTasks(Protocol):
    """What is known of a call that was queued."""

    async def get(self, partition: int, offset: int, call_id: str) -> DialTask:
        """The call, by a read model that has passed this event; waits as long as that takes."""


@dataclass(slots=True, eq=False)
class _Wanted:
    partition: int
    offset: int
    call_id: str
    task: "asyncio.Future[DialTask]"
    missed_at: float | None = None
    """By the monotonic clock: when the rows last lacked the call that they have passed."""


class ReadModelDialTasks:
    """`DialTasks` that looks while somebody waits, and waits where the read model is away.

    A call that a read model which has passed its event does not know is waited for as well: its rows are being put back.
    It is looked for once a second, so that it holds up nobody.
    """

    def __init__(self, reads: DialTaskReads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock
        self._wanted: list[_Wanted] = []
        self._someone = asyncio.Event()
        self.problem: str | None = None
        """Why the read model could not be asked last time."""

    async def get(self, partition: int, offset: int, call_id: str) -> DialTask:
        wanted = _Wanted(partition, offset, call_id, asyncio.get_running_loop().create_future())
        self._wanted.append(wanted)
        self._someone.set()
        return await wanted.task

    async def run(self) -> None:
        """Until cancelled."""
        pause = _SHORTEST_PAUSE_SECONDS
        while True:
            await self._someone.wait()
            try:
                served = await self._look()
                self.problem = None
            except DATABASE_FAULTS as error:
                if self.problem is None:
                    _log.warning("the read model is away", extra={"action": "read-model", "error": type(error).__name__})
                self.problem = f"the read model can not be asked: {type(error).__name__}"
                await self._clock.sleep(_FAULT_PAUSE_SECONDS)
                continue
            if not self._wanted:
                self._someone.clear()
            else:
                pause = _SHORTEST_PAUSE_SECONDS if served else min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
                await self._clock.sleep(pause)

    async def _look(self) -> bool:
        """Serve whom the rows can; whether there was anyone."""
        self._wanted = [wanted for wanted in self._wanted if not wanted.task.done()]
        offsets = await self._reads.next_offsets()
        now = self._clock.monotonic()
        passed = (wanted for wanted in self._wanted if offsets.get(wanted.partition, 0) > wanted.offset)
        ready = [wanted for wanted in passed if wanted.missed_at is None or now >= wanted.missed_at + _MISSING_PAUSE_SECONDS][:_BATCH]
        if not ready:
            return False
        tasks = await self._reads.dial_tasks({wanted.call_id for wanted in ready})
        for wanted in ready:
            task = tasks.get(wanted.call_id)
            if task is None:
                if wanted.missed_at is None:
                    _log.error("the read model lacks a call that it has passed", extra={"action": "read-model", "call": wanted.call_id})
                wanted.missed_at = now
            elif not wanted.task.done():
                wanted.task.set_result(task)
        served = len(tasks)
        self._wanted = [wanted for wanted in self._wanted if not wanted.task.done()]
        return served > 0
