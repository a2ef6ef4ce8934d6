"""Owns the sending of what is due: bounded, each receiver in a lane of its own, so that a slow one holds up nobody else."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.notifier.metrics import NotifierMetrics
from services.notifier.outbox import Delivery, Failed
from services.notifier.ports import DeliveryOutbox
from services.notifier.retrying import retry_after_seconds
from services.notifier.sending import Answer, Webhooks
from services.runtime.clock import Clock
from services.runtime.fail_points import fail_point

_LOOK_SECONDS = 1.0
"""How long at most until it is noticed what another process put into the outbox or revived."""

_MOST_FAILING = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many requests run at once, in all and to one receiver; for how long a message is tried."""

    in_flight: int
    in_flight_per_receiver: int
    window_seconds: float


@dataclass(slots=True)
class Deliverer:
    """Sends what is due on the partitions that this process has; a message leaves the outbox only after its receiver took it.

    What is in flight when the process ends is sent again under the same id. Holds at most `bounds.in_flight` messages in
    memory, and looks at 10,000 receivers at a time. Messages may overtake each other, across retries above all: their
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
    _held: dict[str, str] = field(default_factory=dict)
    """The receiver of each message that is under way, or whose result is not in the outbox yet."""
    _busy: Counter[str] = field(default_factory=Counter)
    """How many of them each receiver has."""
    _fault: BaseException | None = None
    _failing: dict[str, None] = field(default_factory=dict)
    """Receivers that did not take the last message, the one that failed last at the end: each gets one message at a time."""
    _taken: list[str] = field(default_factory=list)
    _failed: list[Failed] = field(default_factory=list)

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
        wait_seconds = self.look_seconds
        for partition in sorted(self.partitions()):
            now = self.clock.now().timestamp()
            for receiver, due_at in (await self.outbox.lanes(partition)).items():
                if due_at > now:
                    wait_seconds = min(wait_seconds, due_at - now)
                else:
                    await self._send_to(partition, receiver, now)
        return wait_seconds

    async def _send_to(self, partition: int, receiver: str, now: float) -> None:
        most = 1 if receiver in self._failing else self.bounds.in_flight_per_receiver
        free = min(most - self._busy[receiver], self.bounds.in_flight - len(self._held))
        if free <= 0:
            return
        # those under way are still due in the outbox
        due = await self.outbox.due(partition, receiver, now, free + self._busy[receiver])
        for delivery in [delivery for delivery in due if delivery.id not in self._held][:free]:
            self._start(receiver, delivery)

    def _start(self, receiver: str, delivery: Delivery) -> None:
        self._held[delivery.id] = receiver
        self._busy[receiver] += 1
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
            self._failing.pop(receiver, None)
            self._taken.append(delivery.id)
            self.metrics.attempts.labels("taken").inc()
            return
        self._fail(receiver)
        failure = self._failure(delivery, answer, answer.error)
        self._failed.append(failure)
        self.metrics.attempts.labels("dead" if failure.next_at is None else "failed").inc()
        if failure.next_at is None:
            extra = {"action": "give-up", "message_id": delivery.id, "campaign": delivery.campaign_id, "error": answer.error}
            _log.warning("a webhook is given up", extra=extra)

    def _fail(self, receiver: str) -> None:
        """Of very many the one that failed longest ago is forgotten: it gets several messages at a time until one fails again."""
        self._failing.pop(receiver, None)
        self._failing[receiver] = None
        if len(self._failing) > _MOST_FAILING:
            del self._failing[next(iter(self._failing))]

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
            receiver = self._held.pop(message_id)
            self._busy[receiver] -= 1
            if not self._busy[receiver]:
                del self._busy[receiver]

    async def close(self, within_seconds: float) -> None:
        """Wait for the requests under way, `within_seconds` at most, and keep what became of them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settle()
