"""Owns the notifier's own settings."""

from typing import Annotated

from pydantic import Field

from services.notifier.in_flight import Bounds
from services.runtime.settings import Settings

Count = Annotated[int, Field(ge=1, le=100_000)]


class NotifierSettings(Settings):
    """Spans are in seconds unless the name says otherwise."""

    webhook_retry_seconds: Annotated[float, Field(gt=0)] = 3 * 24 * 3_600
    """For how long a webhook is tried whose campaign has no `backoffPlan`, and how far back in the log a new store tells."""
    webhook_dead_days: Annotated[float, Field(gt=0, le=36_500)] = 30
    """For how many days a webhook that was given up is listed and can be sent again."""
    notifier_max_in_flight: Count = 1_000
    """How many requests run at once."""
    notifier_max_in_flight_per_org: Count | None = None
    """How many of them are of one org; unset, a tenth, and as many as one receiver may get at least."""
    notifier_max_in_flight_per_receiver: Count = 8
    """How many of them go to one host of one org; one alone while it fails."""
    notifier_stop_seconds: Annotated[float, Field(gt=0, le=300)] = 5
    """How long a stop waits for requests under way; what is not answered by then is sent again later."""

    def bounds(self) -> Bounds:
        """What the deliverer keeps to."""
        in_all, per_receiver = self.notifier_max_in_flight, self.notifier_max_in_flight_per_receiver
        per_org = self.notifier_max_in_flight_per_org or max(in_all // 10, per_receiver)
        return Bounds(in_all, per_org, per_receiver, self.webhook_retry_seconds)
