"""Owns virtual time: an asyncio event loop that waits for nothing and runs the tasks of many simulated processes."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, TypeVar

_T = TypeVar("_T")
RUNS_IN: ContextVar["Life | None"] = ContextVar("RUNS_IN", default=None)
"""The process life that a callback belongs to; `None`: the world's own."""


class Callback:
    """Called once, unless it is cancelled before: of an asyncio handle only what a simulation needs, as the loop is most of its work."""

    __slots__ = ("arguments", "context", "is_cancelled", "work")

    def __init__(self, work: Callable[..., object], arguments: tuple[Any, ...], context: Context | None) -> None:
        self.context = context if context is not None else copy_context()
        self.work = work
        self.arguments = arguments
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Life:
    """One life of a simulated process: its tasks, whether it still lives, and what waits while it is frozen."""

    def __init__(self, loop: "SimulatedLoop", name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.backlog: deque[Callback] = deque()
        self.context = Context()
        self.context.run(RUNS_IN.set, self)
        self._loop = loop
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks[task] = None
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]

    def kill(self) -> None:
        """As kill -9: what is outside hears nothing more of it. The tasks are cancelled only so that they end."""
        self.alive = False
        self.thaw()
        for task in list(self._tasks):
            task.cancel()

    def freeze(self) -> None:
        """As SIGSTOP: nothing of it runs, time goes on."""
        self.frozen = True
        self._loop.someone_is_frozen = True

    def thaw(self) -> None:
        """As SIGCONT: what would have run meanwhile runs now, in its order."""
        self.frozen = False
        self._loop.run_soon(self.backlog)
        self.backlog = deque()


MOST_STEPS = 400_000
"""More than any run needs: beyond it something goes in circles."""


class RunEndsError(BaseException):
    """Ends a run at once; no task may catch it."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs what is ready in the order in which it became so, then lets time jump to the next timer.

    Interleavings come from the random time that everything outside a process takes, as in reality, not from a broken promise
    of the loop on order. `steps` counts callbacks. A callback that raises ends the run with its error.
    """

    _ready: deque[Callback]

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.limits_steps = True
        self.someone_is_frozen = False
        self._ends: str | None = None
        self._now = 0.0
        self._timers: list[tuple[float, int, Callback]] = []
        self._numbers = count()
        self._world = Context()
        self.set_task_factory(_task_of_its_life)
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        return self._now

    def run_soon(self, callbacks: deque[Callback]) -> None:
        self._ready.extend(callbacks)

    def later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> None:
        """Call back outside every process: whatever happens to who asked, this happens."""
        self.call_later(seconds, callback, *arguments, context=self._world)

    async def sleep(self, seconds: float) -> None:
        """As asyncio's own, but for a timer that fires in vain where the sleeper was cancelled."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        over: asyncio.Future[None] = asyncio.Future(loop=self)
        self.call_later(seconds, settle, over, None)
        await over

    def end_run(self, why: str) -> None:
        """Let the run end after the present step."""
        self._ends = why

    def _run_once(self) -> None:
        if self._ends is not None and self.limits_steps:
            raise RunEndsError(self._ends)
        ready = self._ready
        if not ready:
            self._let_time_pass()
        for _ in range(len(ready)):
            callback = ready.popleft()
            if callback.is_cancelled:
                continue
            if self.someone_is_frozen:
                life = callback.context.get(RUNS_IN)
                if life is not None and life.frozen:
                    life.backlog.append(callback)
                    continue
            self.steps += 1
            callback.context.run(callback.work, *callback.arguments)
        if self.steps > MOST_STEPS and self.limits_steps:
            raise RunEndsError("I8: something goes in circles without end")

    def _let_time_pass(self) -> None:
        timers = self._timers
        while timers:
            when, _, timer = heapq.heappop(timers)
            if not timer.is_cancelled:
                self._now = max(self._now, when)
                self._ready.append(timer)
                return
        raise RunEndsError("I8: nothing will ever happen again")

    def call_soon(self, callback: Callable[..., object], *arguments: Any, context: Context | None = None) -> Callback:  # type: ignore[override]
        called = Callback(callback, arguments, context)
        self._ready.append(called)
        return called

    def call_at(self, when: float, callback: Callable[..., object], *arguments: Any, context: Context | None = None) -> Callback:  # type: ignore[override]
        """Timers of the same instant fire in the order in which they were set."""
        timer = Callback(callback, arguments, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: Any, context: Context | None = None) -> Callback:  # type: ignore[override]
        return self.call_at(self._now + delay, callback, *arguments, context=context)

    def close(self) -> None:
        self._timers.clear()
        super().close()

    def _process_events(self, event_list: Any) -> None:
        """There are none: nothing outside is waited for."""

    def _write_to_self(self) -> None:
        """Nobody waits in another thread."""


def _task_of_its_life(loop: Any, coroutine: Any, context: Any = None) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context)
    life = RUNS_IN.get() if context is None else context.get(RUNS_IN)
    if life is not None:
        life.adopt(task)
        if not life.alive:
            task.cancel()
    return task


def settle(waiter: "asyncio.Future[_T]", result: _T) -> None:
    """Give the result to who waits for it, unless nobody waits any more."""
    if not waiter.done():
        waiter.set_result(result)


def _ignore(loop: Any, context: dict[str, Any]) -> None:
    """A task of a killed process may end with an error that nobody asks for."""
