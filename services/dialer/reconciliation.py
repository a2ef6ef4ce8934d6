"""Owns the lookup of calls whose outcome nobody knows, at a provider that can look them up by our id (design, "Dialing")."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from events.envelope import EventRecord
from services.dialer.command_log import CommandLog
from services.dialer.decisions import absence, found_report
from services.dialer.lines import Lines
from services.dialer.metrics import DialerMetrics
from services.dialer.provider import CallProvider, FoundCall, LookupFailedError
from services.runtime.cancelling import cancel_all
from services.runtime.clock import Clock

_WAITS_SECONDS = (0.0, 1.0, 5.0, 20.0, 60.0)
"""Before each lookup: a request whose answer was lost may still be on its way, and a call that was found may not ring yet."""
_ABSENT_LOOKS = 4
"""After some 26 seconds, on top of the wait for the outcome."""
AT_ONCE = 20
_MOST = 5_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reconciliation:
    """Looks each unknown call up a few times; what it finds is reported, and so is what was absent at every look.

    Losing one, because 5,000 are under way or because the place in the log waits no longer for it when the process ends, costs only that:
    callbacks and the deadline still resolve it.
    """

    clock: Clock
    commands: CommandLog
    lines: Lines
    new_id: Callable[[], str]
    metrics: DialerMetrics
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def look_up(self, record: EventRecord) -> asyncio.Task[None] | None:
        """Begin, of a `CallOutcomeUnknown`; `None` where the provider that its claim named is not configured or can not look calls up."""
        line = self.lines.named(record["data"].get("provider") or "")
        if line is None or not line.provider.can_find:
            return None
        if len(self._tasks) >= _MOST:
            _log.error("too many calls of unknown outcome: one is not looked up", extra={"action": "look-up", "call": record.get("callid")})
            return None
        task = asyncio.create_task(self._look_up(line.provider, record))
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def _look_up(self, provider: CallProvider, record: EventRecord) -> None:
        call_id, attempt = record["callid"], record["data"]["attempt"]
        absent, failed = 0, None
        for wait_seconds in _WAITS_SECONDS:
            await self.clock.sleep(wait_seconds)
            try:
                found = await self._find(provider, call_id, attempt)
            except LookupFailedError as error:
                failed = str(error)
                continue
            if found is None:
                absent += 1
                if absent == _ABSENT_LOOKS:
                    await self.commands.append(absence(self.new_id(), record["orgid"], record["subject"], call_id, attempt, provider.name))
                    return
                continue
            report = found_report(self.new_id(), record["orgid"], record["subject"], call_id, attempt, provider=provider.name, found=found)
            if report is not None:
                await self.commands.append(report)
                return
        if failed is not None:
            _log.warning("a call of unknown outcome was looked up in vain", extra={"action": "look-up", "call": call_id, "error": failed})

    async def _find(self, provider: CallProvider, call_id: str, attempt: int) -> FoundCall | None:
        async with self._turn:
            try:
                found = await provider.find(call_id, attempt)
            except LookupFailedError:
                self.metrics.lookups.labels(provider.name, "failed").inc()
                raise
        self.metrics.lookups.labels(provider.name, "absent" if found is None else found.status).inc()
        return found

    async def close(self) -> None:
        """Stop looking."""
        await cancel_all(self._tasks)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a lookup failed", exc_info=error, extra={"action": "look-up"})
