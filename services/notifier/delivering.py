"""Owns the sending of what is due: bounded, each receiver in a lane of its own, orgs in turn, so that a slow one holds up nobody else."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.notifier.in_flight import Bounds, InFlight, Lane, Turns
from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import Delivery, Failed
from services.notifier.ports import DeliveryOutbox
from services.notifier.retrying import retry_after_seconds
from services.notifier.sending import Answer, Webhooks
from services.runtime.cancelling import cancel_all
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point

_LOOK_SECONDS = 1.0
"""How long at most until it is noticed what another process put into the outbox or revived."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deliverer:
    """Sends what is due on the partitions that this process has; a message leaves the outbox only after its receiver took it.

    What is in flight when the process ends is sent again under the same id. Holds at most `bounds.in_flight` messages in
    memory, and looks at 10,000 receivers of a partition at a time. Messages may overtake each other, across retries above all: their
    `webhook-sequence` says the order.
    """

    outbox: DeliveryOutbox
    webhooks: Webhooks
    clock: Clock
    bounds: Bounds
    partitions: Callable[[], Iterable[int]]
    metrics: NotifierMetrics
    look_seconds: float = _LOOK_SECONDS
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _fault: BaseException | None = None
    _taken: list[str] = field(default_factory=list)
    _failed: list[Failed] = field(default_factory=list)
    _in_flight: InFlight = field(init=False)
    _turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        self._in_flight = InFlight(self.bounds)

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled; raises what the store raises."""
        while True:
            self._wake.clear()
            if self._fault is not None:
                raise self._fault
            await self._settle()
            wait_seconds = await self._send_due()
            await self._until_woken(wait_seconds)

    async def _until_woken(self, seconds: float) -> None:
        waiting = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self.clock.sleep(seconds))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _send_due(self) -> float:
        """Start what may be started; how long nothing more will be due, at most a second."""
        wait_seconds, due = self.look_seconds, []
        for partition in sorted(self.partitions()):
            now = self.clock.now().timestamp()
            for receiver, due_at in (await self.outbox.lanes(partition)).items():
                if due_at > now:
                    wait_seconds = min(wait_seconds, due_at - now)
                else:
                    due.append(Lane(partition, receiver))
        waiting = self._turns.queues(due)
        while waiting:
            for org_id in list(waiting):
                if not await self._take_turn(waiting[org_id]):
                    del waiting[org_id]
        return wait_seconds

    async def _take_turn(self, lanes: deque[Lane]) -> bool:
        """Send to the first receiver of the org that may get something and has something new; False where there is none."""
        while lanes:
            lane = lanes.popleft()
            if await self._send_to(lane):
                self._turns.served(lane)
                return True
        return False

    async def _send_to(self, lane: Lane) -> bool:
        room = self._in_flight.room(lane.receiver)
        if not room:
            return False
        # those under way are still due in the outbox
        limit, now = room + self._in_flight.busy(lane.receiver), self.clock.now().timestamp()
        due = await self.outbox.due(lane.partition, lane.receiver, now, limit)
        fresh = [delivery for delivery in due if delivery.id not in self._in_flight][:room]
        for delivery in fresh:
            self._start(lane.receiver, delivery)
        return bool(fresh)

    def _start(self, receiver: str, delivery: Delivery) -> None:
        self._in_flight.hold(delivery.id, receiver)
        task = asyncio.create_task(self._deliver(receiver, delivery))
        self._tasks.add(task)
        self.metrics.in_flight.set(len(self._tasks))
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self.metrics.in_flight.set(len(self._tasks))
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = fault
        self._wake.set()

    async def _deliver(self, receiver: str, delivery: Delivery) -> None:
        fail_point("notifier.before-delivery")
        answer = await self.webhooks.send(delivery)
        fail_point("notifier.after-delivery")
        if answer.error is None:
            self._in_flight.took(receiver)
            self._taken.append(delivery.id)
            self.metrics.attempts.labels("taken").inc()
            return
        self._in_flight.failed(receiver)
        failure = self._failure(delivery, answer, answer.error)
        self._failed.append(failure)
        self.metrics.attempts.labels("dead" if failure.next_at is None else "failed").inc()
        if failure.next_at is None:
            extra = {"action": "give-up", "message_id": delivery.id, "campaign": delivery.campaign_id, "error": answer.error}
            _log.warning("a webhook is given up", extra=extra)

    def _failure(self, delivery: Delivery, answer: Answer, error: str) -> Failed:
        now, failures = self.clock.now().timestamp(), delivery.failures + 1
        wait_seconds = None
        if not answer.hopeless:
            age_seconds = now - delivery.enqueued_at
            wait_seconds = retry_after_seconds(answer.plan, delivery.id, failures, answer.status, age_seconds, self.bounds.window_seconds)
        return Failed(delivery.id, failures, now, None if wait_seconds is None else now + wait_seconds, error)

    async def _settle(self) -> None:
        taken, failed = list(self._taken), list(self._failed)
        if taken or failed:
            fail_point("notifier.before-settle")
            await self.outbox.settle(taken, failed)
        # only now, so that a stop in between settles them again
        del self._taken[: len(taken)], self._failed[: len(failed)]
        for message_id in (*taken, *(failure.id for failure in failed)):
            self._in_flight.release(message_id)

    async def close(self, within_seconds: float) -> None:
        """Wait for the requests under way, `within_seconds` at most, and keep what became of them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_seconds)
        await cancel_all(self._tasks)
        await self._settle()
