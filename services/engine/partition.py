"""Owns one partition's life in the engine: take it over in the order that fences every former owner, then handle, commit, repeat."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.engine.decider.evolve import FoldError, evolve
from services.engine.decider.policy import Policy
from services.engine.handling import Handler
from services.engine.observer import Observer
from services.engine.ports import FencedError, PartitionLog, Snapshots
from services.engine.replaying import replayed
from services.engine.restore import state_of
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point

MAX_RECORDS = 500
_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 10.0
"""Between take-overs, twice as long each time while none of them works for longer than this."""
_LONGEST_WAIT_SECONDS = 0.25
"""An idle partition looks at the clock this often, so that a clock that is moved is noticed."""

_log = logging.getLogger(__name__)


class TakeOverError(Exception):
    """The partition could not be taken over; the process ends, and whoever starts it again retries."""


@dataclass(slots=True)
class PartitionEngine:
    """The loop of one partition. `nonce` gives text that no other take-over ever drew; it makes the events' ids unique."""

    partition: int
    log: PartitionLog
    snapshots: Snapshots
    clock: Clock
    policy: Policy
    nonce: Callable[[], str]
    observer: Observer
    longest_wait_seconds: float = _LONGEST_WAIT_SECONDS

    async def run(self) -> None:
        """Until cancelled. An error in a transaction throws the state away and takes the partition over anew.

        Raises `TakeOverError`, `FencedError` where the partition must not be written again before a new assignment, and
        `FoldError` where a decision contradicts the facts: a bug, which must not be tried again and again.
        """
        pause_seconds = _SHORTEST_PAUSE_SECONDS
        try:
            while True:
                handler = await self._take_over()
                self.observer.ready(self.partition, True)
                began = self.clock.monotonic()
                try:
                    await self._handle(handler)
                except (FencedError, FoldError):
                    raise
                except Exception:
                    _log.exception("transaction failed, taking over anew", extra={"action": "take-over", "partition": self.partition})
                    self.observer.ready(self.partition, False)
                worked = self.clock.monotonic() - began > _LONGEST_PAUSE_SECONDS
                pause_seconds = _SHORTEST_PAUSE_SECONDS if worked else min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                await self.clock.sleep(pause_seconds)
        finally:
            self.observer.ready(self.partition, False)
            await self.log.close()

    async def _take_over(self) -> Handler:
        try:
            return await self.take_over()
        except FencedError:
            raise
        except Exception as error:
            raise TakeOverError(f"partition {self.partition} could not be taken over: {error or type(error).__name__}") from error

    async def take_over(self) -> Handler:
        """The steps in the order of the design, "Taking a partition over (the engine)"."""
        self.log.pause()
        fail_point("engine.take-over-before-fence")
        await self.log.fence()
        fail_point("engine.take-over-after-fence")
        positions = await self.log.committed()
        snapshot = await self.snapshots.engine_snapshot(self.partition)
        state = state_of(snapshot)
        count = 0
        async for values in self.log.replay(snapshot.next_offset):
            for value in values:
                evolve(state, replayed(value))
            state.drop_stale_deadlines()
            count += len(values)
        fail_point("engine.take-over-after-replay")
        self.log.resume(positions)
        _log.info(
            "took the partition over",
            extra={"action": "take-over", "partition": self.partition, "snapshot": snapshot.next_offset, "replayed": count},
        )
        nonce, counter = self.nonce(), itertools.count()
        return Handler(state, self.policy, self.log.owns, lambda: f"{nonce}-{next(counter)}")

    async def _handle(self, handler: Handler) -> None:
        while True:
            batch = handler.batch(self.clock.now())
            if batch:
                began = self.clock.monotonic()
                await self.log.commit(batch)
                self.observer.committed(batch, self.clock.monotonic() - began)
            await asyncio.sleep(0)
            if not handler.waiting:
                wait = 0.0 if handler.state.stirred else self._wait_seconds(handler.state.deadlines.next_at())
                handler.waiting.extend(await self.log.poll(wait, MAX_RECORDS))

    def _wait_seconds(self, due_at: datetime | None) -> float:
        if due_at is None:
            return self.longest_wait_seconds
        return min(max((due_at - self.clock.now()).total_seconds(), 0.001), self.longest_wait_seconds)
