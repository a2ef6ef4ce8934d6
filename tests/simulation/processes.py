"""Owns the simulated machines: processes that are started, end by themselves, are killed, frozen and started again, each with its clock."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from tests.simulation.cluster import Cluster
from tests.simulation.loop import Life, SimulatedLoop

BEGINNING = datetime(2030, 1, 1, 9, 0, tzinfo=UTC)
_STARTED_AGAIN_AFTER_SECONDS = 1.0


class SimulatedClock:
    """A `Clock` of one machine; `skew_seconds` is how far its wall clock is ahead."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.skew_seconds = 0.0
        self._loop = loop

    def now(self) -> datetime:
        return BEGINNING + timedelta(milliseconds=int((self._loop.time() + self.skew_seconds) * 1000))

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await self._loop.sleep(seconds)


class Process:
    """`main` is one life of it, from its start until it ends by itself; it is then started again."""

    def __init__(self, cluster: Cluster, name: str, main: Callable[["Process", Life], Awaitable[None]]) -> None:
        self.name = name
        self.clock = SimulatedClock(cluster.loop)
        self.lives = 0
        self.life: Life | None = None
        self._cluster = cluster
        self._main = main

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    def start(self) -> None:
        if self.life is None:
            self.lives += 1
            self.life = Life(self._cluster.loop, self.name)
            self._cluster.spawn(self.life, self._live, self.life)

    async def _live(self, life: Life) -> None:
        try:
            await self._main(self, life)
        except Exception as error:
            self.ended_by = error
        if life.alive:
            self._cluster.loop.later(0.0, self._ended, life)

    def _ended(self, life: Life) -> None:
        if self.life is life:
            self.crash(_STARTED_AGAIN_AFTER_SECONDS)

    def crash(self, down_seconds: float) -> None:
        """Gone at once, with all that it had in memory; started again after a while."""
        life, self.life = self.life, None
        if life is not None:
            life.kill()
            self._cluster.silent(life)
            self._cluster.loop.later(down_seconds, self.start)

    def freeze(self, seconds: float) -> None:
        life = self.life
        if life is not None and not life.frozen:
            life.freeze()
            self._cluster.silent(life)
            self._cluster.loop.later(seconds, _thaw, life)


def _thaw(life: Life) -> None:
    if life.frozen:
        life.thaw()
