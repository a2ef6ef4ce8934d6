"""Owns the lines: each provider with what is known of how well it is, and which of them dials a call."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from projections.dial_task.task import DialTask
from services.dialer.circuit import Circuit
from services.dialer.doubts import Doubts
from services.dialer.pacing import Pacing
from services.dialer.provider import Answer, CallProvider, NotPlaced, Refused, Unknown
from services.runtime.clock import Clock


@dataclass(slots=True)
class Line:
    """One provider. What befalls it holds up its own calls only."""

    provider: CallProvider
    clock: Clock
    circuit: Circuit
    claiming: Pacing
    """Keeps claims from being granted faster than they may be placed."""
    posting: Pacing
    """Holds the limit itself: claims may be granted all at once."""
    slots: asyncio.Semaphore
    waiting: int = 0
    """How many calls wait for their admission."""
    doubts: Doubts = field(default_factory=Doubts)
    _next: asyncio.Lock = field(default_factory=asyncio.Lock)
    _next_of_org: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def admission(self, org_id: str) -> None:
        """Return when a call of the org may be claimed. Where one after the other tries, the orgs take turns."""
        self.waiting += 1
        try:
            await self._admitted(org_id)
        finally:
            self.waiting -= 1

    async def _admitted(self, org_id: str) -> None:
        while True:
            if not self.circuit.is_closed:
                next_of_org = self._next_of_org.setdefault(org_id, asyncio.Lock())
                # one looks for all, since thousands may wait, and one of each org waits to be that one
                async with next_of_org, self._next:
                    while (wait_seconds := self.circuit.admit(self.clock.monotonic())) > 0:
                        await self.clock.sleep(wait_seconds)
            tries = not self.circuit.is_closed
            await self.claiming.turn()
            if tries or self.circuit.is_closed:
                return

    def is_open(self) -> bool:
        return self.circuit.is_open(self.clock.monotonic())

    def hear(self, call_id: str, answer: Answer) -> Answer:
        """What the answer means for the call that it was given to; the line learns from it."""
        meant = self.doubts.weigh(call_id, answer)
        self.learn(meant)
        return meant

    def learn(self, answer: Answer) -> None:
        """What an answer says of the provider, whatever it says of the call."""
        now = self.clock.monotonic()
        match answer:
            case NotPlaced(too_many=too_many, retry_after_seconds=retry_after_seconds):
                if too_many and not self.circuit.is_open(now):
                    self.claiming.slow_down()
                    self.posting.slow_down()
                self.circuit.not_reached(now, retry_after_seconds or 0.0)
            case Unknown():
                self.circuit.left_unknown(now)
            case Refused(knows_us=False):
                self.circuit.told_nothing()
            case _:
                self.circuit.answered()
                self.claiming.taken()
                self.posting.taken()


def new_line(
    provider: CallProvider, clock: Clock, draw: Callable[[], float], max_in_flight: int, calls_per_second: float | None = None
) -> Line:
    """`draw` gives numbers from 0 up to 1, for the jitter of its pauses; both limits are of this process."""
    return Line(
        provider=provider,
        clock=clock,
        circuit=Circuit(draw),
        claiming=Pacing(clock, calls_per_second),
        posting=Pacing(clock, calls_per_second),
        slots=asyncio.Semaphore(max_in_flight),
    )


class Lines:
    """All lines; `choose` names, for a call, the one that dials it."""

    def __init__(self, lines: Iterable[Line], choose: Callable[[DialTask], str]) -> None:
        self._by_name = {line.provider.name: line for line in lines}
        self._choose = choose

    @classmethod
    def of_one(cls, line: Line) -> "Lines":
        """The same provider for every call."""
        return cls([line], lambda _: line.provider.name)

    def for_task(self, task: DialTask) -> Line:
        return self._by_name[self._choose(task)]

    def named(self, name: str) -> Line | None:
        """`None` where no provider is configured under the name any more."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._by_name.values())
