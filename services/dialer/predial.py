"""Owns the question before a call and what its answer may be (contract, "Webhooks")."""

from dataclasses import dataclass
from typing import Protocol

from projections.dial_task.task import DialTask


@dataclass(frozen=True, slots=True)
class Eligible:
    """The call may be dialed."""


@dataclass(frozen=True, slots=True)
class NotEligible:
    """The customer's server said no."""


@dataclass(frozen=True, slots=True)
class PredialFailed:
    """The server could not be asked or did not answer what it must; `error` holds nothing of what it said."""

    error: str


Verdict = Eligible | NotEligible | PredialFailed


class Predial(Protocol):
    """Asks whether a call may be dialed."""

    async def ask(self, task: DialTask) -> Verdict:
        """Raises nothing but cancellation; asked again for the same call after a crash, so at least once."""
