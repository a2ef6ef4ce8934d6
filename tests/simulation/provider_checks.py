"""Owns what must hold at the provider at every request: I2, I3 and I7, counted there and not by what the log says."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.dialer.provider import PlaceCall
from services.engine.decider.policy import Policy
from tests.simulation.exchange import TakenCall
from tests.simulation.fact_checks import FactChecks


@dataclass(slots=True)
class ProviderChecks:
    """`is_exact`: no pause of this run is longer than a claim's life, so that the limits must hold here too."""

    orgs: Sequence[str]
    policy: Policy
    facts: FactChecks
    report: Callable[[str], None]
    is_exact: bool = False
    doubled: int = 0
    _posted: set[str] = field(default_factory=set)
    _placed: set[tuple[str, int]] = field(default_factory=set)
    _under_way: Counter[str] = field(default_factory=Counter)

    def asked(self, call: PlaceCall, claim_id: str) -> None:
        """A request arrived, made under this claim."""
        task = call.task
        granted = self.facts.granted.get(claim_id)
        if granted is None:
            self.report("I2: a call was posted without a granted claim")
        elif granted != (task.campaign_id, task.call_id):
            self.report("I2: a call was posted under another's claim")
        if claim_id in self._posted:
            self.report("I2: a claim was posted twice")
        self._posted.add(claim_id)
        said = repr((task.org_id, task.customer, task.target_id, task.phone_number_id))
        if any(org in said for org in self.orgs if org != task.org_id):
            self.report("I7: a call was posted with what is another org's")

    def has(self, call_id: str, attempt: int) -> bool:
        return (call_id, attempt) in self._placed

    def taken(self, call: TakenCall) -> None:
        if self.has(call.call_id, call.attempt):
            self.doubled += 1
            self.report("I2: a call was placed twice")
        self._placed.add((call.call_id, call.attempt))
        for name in (call.org_id, call.campaign_id):
            self._under_way[name] += 1
        if not self.is_exact:
            return
        if self._under_way[call.org_id] > self.policy.limit_of(call.org_id):
            self.report("I3: more of an org's calls are under way at the provider than its limit")
        if self._under_way[call.campaign_id] > self.facts.campaigns[call.campaign_id].limit:
            self.report("I3: more of a campaign's calls are under way at the provider than its limit")

    def over(self, call: TakenCall) -> None:
        for name in (call.org_id, call.campaign_id):
            self._under_way[name] -= 1
