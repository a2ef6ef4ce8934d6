"""Owns the planted bugs: services that are wrong in one way, each with the fault that brings it out, which the checker must catch.

`python -m tests.chaos.planted BUG` runs the wrong service.
"""

import asyncio
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.chaos.observed import tell_on_sigusr1
from tests.chaos.plan import Fault, Round
from tests.chaos.rounds import Grounds, run_rounds

_ROUNDS = 3
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Bug:
    """What is wrong (`plant`, called in the service's process), of which service, and which faults bring it out."""

    service: str
    plant: Callable[[], None]
    faults: tuple[Fault, ...]
    breaks: str
    """The invariant that the checker names."""
    calls: int = 8


def _limit_per_campaign_only() -> None:
    from services.engine.settings import EngineSettings

    right = EngineSettings.policy

    def wrong(self: EngineSettings) -> Any:
        return right(self.model_copy(update={"org_concurrency_limit": 1_000, "org_concurrency_limits": {}}))

    EngineSettings.policy = wrong  # type: ignore[method-assign]


def _act_upon_anybodys_claim() -> None:
    from events.envelope import EventRecord
    from services.dialer.claims import Claim
    from services.dialer.dial_tasks import ReadModelDialTasks
    from services.dialer.dispatcher import Dispatcher

    right = Dispatcher.on_claimed

    async def act(self: Dispatcher, record: EventRecord) -> None:
        assert isinstance(self.tasks, ReadModelDialTasks)
        task = (await self.tasks._reads.dial_tasks([record["callid"]])).get(record["callid"])
        if task is not None:
            expires = self.clock.monotonic() + self.claim_valid_seconds
            await self._dial(Claim(record["causationid"], task, record["data"]["attempt"], record["data"]["provider"], expires))

    def wrong(self: Dispatcher, record: EventRecord) -> None:
        if record["data"]["claimant"] == self.claimant:
            right(self, record)
        else:
            self._start(act(self, record))

    Dispatcher.on_claimed = wrong  # type: ignore[method-assign]


def _offset_before_rows() -> None:
    """The offset is committed, and the rows only after a while."""
    from projections.store.sql_store import SqlProjectionStore

    right = SqlProjectionStore.apply

    async def wrong(self: SqlProjectionStore, partition: int, start_offset: int, next_offset: int, records: Any) -> Any:
        outcome = await right(self, partition, start_offset, next_offset, ())
        await asyncio.sleep(0.1)
        if records:
            await right(self, partition, next_offset, next_offset, records)
        return outcome

    SqlProjectionStore.apply = wrong  # type: ignore[method-assign]


def _settle_before_delivery() -> None:
    from services.notifier.delivering import Deliverer
    from services.notifier.outbox import Delivery

    right = Deliverer._deliver

    async def wrong(self: Deliverer, receiver: str, delivery: Delivery) -> None:
        await self.outbox.settle([delivery.id], [])
        await right(self, receiver, delivery)

    Deliverer._deliver = wrong  # type: ignore[method-assign]


def _read_uncommitted() -> None:
    from services.projector import consumer_thread

    names = vars(consumer_thread)
    names["make_consumer"] = partial(names["make_consumer"], isolation_level="read_uncommitted")


def _campaigns_of_every_org() -> None:
    from projections.queries import campaigns

    names, right = vars(campaigns), campaigns.of_org

    def wrong(org_id: Any, campaign_id: Any, *, deleted: bool = False) -> Any:
        return [condition for condition in right(org_id, campaign_id, deleted=deleted) if "org_id" not in str(condition)]

    names["of_org"] = wrong


BUGS = {
    "a limit per campaign only": Bug("engine", _limit_per_campaign_only, (), "I3"),
    "acting upon anybody's claim": Bug("dialer", _act_upon_anybodys_claim, (Fault("rebalance-storm", 0.0, 8.0),), "I2", calls=96),
    "the offset before the rows": Bug(
        "projector", _offset_before_rows, tuple(Fault("kill", 0.7 + n * 0.9, 0.0, "projector") for n in range(3)), "I"
    ),
    "settled before delivery": Bug(
        "notifier", _settle_before_delivery, (Fault("fail-point-kill", 0.0, 1.5, "notifier", "notifier.before-delivery:kill:3"),), "I"
    ),
    "campaigns of every org": Bug("api", _campaigns_of_every_org, (), "I7"),
    "reading uncommitted": Bug(
        "projector", _read_uncommitted, (Fault("fail-point-kill", 0.0, 1.5, "engine", "engine.inside-transaction:kill:9"),), "I"
    ),
}


async def caught_of_planted(place: Grounds, say: Callable[[str], None]) -> dict[str, bool]:
    """Of each planted bug whether some round with its faults was found broken."""
    caught = {}
    for number, (name, bug) in enumerate(BUGS.items()):
        place.commands = {bug.service: (sys.executable, "-m", "tests.chaos.planted", name)}
        rounds = [Round(1_000 + number * 10 + again, number, "sqlite", bug.faults, again, bug.calls) for again in range(_ROUNDS)]
        found = list[str]()
        for planned in rounds:
            totals = await run_rounds(place, [planned], lambda _: None, _PATIENCE_SECONDS)
            found = [line for result in totals.results for line in result.violations if line.startswith(bug.breaks)]
            if found:
                break
        caught[name] = bool(found)
        say(f"planted: {name}: {'caught by ' + found[0][:160] if found else 'NOT caught'}")
    place.commands = {}
    return caught


if __name__ == "__main__":
    planted = BUGS[sys.argv.pop(1)]
    tell_on_sigusr1()
    planted.plant()
    runpy.run_module(f"services.{planted.service}", run_name="__main__")
