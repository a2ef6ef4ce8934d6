"""Owns that what is of no use any more is forgotten, so that neither the store nor `webhook-state` grows without end."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.notifier.outbox import Outbox
from services.runtime.clock import Clock

_LOOK_SECONDS = 60.0


@dataclass(slots=True)
class Expiry:
    """Forgets the dead of the partitions that this process has `kept_seconds` after they died, and campaigns that are over.

    A minute late at most.
    """

    outbox: Outbox
    partitions: Callable[[], Iterable[int]]
    clock: Clock
    kept_seconds: float

    async def run(self) -> None:
        """Until cancelled; raises what the store raises."""
        while True:
            for partition in sorted(self.partitions()):
                while await self.outbox.expire(partition, self.clock.now().timestamp() - self.kept_seconds):
                    pass
            while await self.outbox.forget_campaigns():
                pass
            await self.clock.sleep(_LOOK_SECONDS)
