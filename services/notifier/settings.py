"""Owns the notifier's own settings."""

from typing import Annotated

from pydantic import Field

from services.runtime.settings import Settings

Count = Annotated[int, Field(ge=1, le=100_000)]


class NotifierSettings(Settings):
    """Spans are in seconds."""

    webhook_retry_seconds: Annotated[float, Field(gt=0)] = 3 * 24 * 3_600
    """For how long a webhook is tried whose campaign has no `backoffPlan`, and how far back in the log a new store tells."""
    notifier_max_in_flight: Count = 1_000
    """How many requests run at once."""
    notifier_max_in_flight_per_receiver: Count = 8
    """How many of them go to one host of one org; one alone while it fails."""
    notifier_stop_seconds: Annotated[float, Field(gt=0, le=300)] = 5
    """How long a stop waits for requests under way; what is not answered by then is sent again later."""
