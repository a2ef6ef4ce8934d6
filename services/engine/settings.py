"""Owns the engine's own settings: limits and spans of time."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from services.engine.decider.policy import Policy
from services.runtime.settings import Settings

Limit = Annotated[int, Field(ge=1, le=1_000_000)]


class EngineSettings(Settings):
    """Limits count calls, spans are in seconds."""

    org_concurrency_limit: Limit = 100
    org_concurrency_limits: dict[str, Limit] = Field(default_factory=dict)
    """The limits of single orgs as a JSON object, such as `{"acme": 40}`."""
    org_limit_retry_seconds: Annotated[float, Field(ge=0)] = 3_600
    """The hour; 0 means that calls held back by the org's limit are tried until done."""
    contacts_window_seconds: Annotated[float, Field(gt=0)] = 600
    dial_outcome_seconds: Annotated[float, Field(gt=0)] = 60
    longest_call_seconds: Annotated[float, Field(gt=0)] = 3_600
    longest_call_grace_seconds: Annotated[float, Field(ge=0)] = 60
    final_report_seconds: Annotated[float, Field(ge=0)] = 600

    def policy(self) -> Policy:
        """The policy that the decider is given."""
        return Policy(
            org_limit=self.org_concurrency_limit,
            org_limits=self.org_concurrency_limits,
            hour=timedelta(seconds=self.org_limit_retry_seconds),
            contacts_window=timedelta(seconds=self.contacts_window_seconds),
            outcome_window=timedelta(seconds=self.dial_outcome_seconds),
            longest_call=timedelta(seconds=self.longest_call_seconds + self.longest_call_grace_seconds),
            report_window=timedelta(seconds=self.final_report_seconds),
        )
