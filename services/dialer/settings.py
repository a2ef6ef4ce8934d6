"""Owns the dialer's own settings."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from services.runtime.provider_choice import CallsPerSecond, ProviderChoice
from services.runtime.provider_settings import ProviderSettings
from services.runtime.settings import Secret

Seconds = Annotated[float, Field(gt=0, le=3_600)]
Count = Annotated[int, Field(ge=1, le=100_000)]
_RINGING_SECONDS = 65
"""How long Twilio lets a call ring unless it is asked otherwise (https://www.twilio.com/docs/voice/api/call-resource, `Timeout`)."""


class DialerSettings(ProviderSettings):
    """Spans are in seconds."""

    claim_valid_seconds: Seconds = 30
    dialer_max_in_flight: Count = 500
    """How many requests to each provider run at once."""
    dialer_max_taken: Count = 2_000
    """How many calls are looked after at once, from `CallQueued` to the outcome, save those that only wait; beyond it the log waits."""
    dialer_stop_seconds: Seconds = 5
    """How long a stop waits for requests under way before their outcome counts as unknown."""
    provider_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """Empty means the simulator on this machine."""
    provider_key: Secret = "simulator"
    provider_name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "simulator"
    provider_can_find: bool = True
    """Whether the provider answers `GET /call?metadataCallId=&attempt=`; the simulator does, Vapi does not."""
    provider_calls_per_second: CallsPerSecond | None = None
    """The most of this dialer process; unset, as fast as the provider takes them."""
    provider_timeout_seconds: Seconds = 20
    provider_connect_seconds: Seconds = 5
    dial_outcome_seconds: Seconds = 60
    """The engine's wait for an outcome; read here only to see that it is long enough."""
    longest_call_seconds: Annotated[float, Field(gt=0)] = 3_600
    longest_call_grace_seconds: Annotated[float, Field(ge=0)] = 60
    """With the former the engine's wait for a call's end; read here only to see that no call lasts longer."""

    @field_validator("dial_outcome_seconds")
    @classmethod
    def _outcomes_come_in_time(cls, value: float, info: ValidationInfo) -> float:
        longest = info.data.get("claim_valid_seconds", 0.0) + info.data.get("provider_timeout_seconds", 0.0)
        if value <= longest:
            raise ValueError(f"must exceed CLAIM_VALID_SECONDS and PROVIDER_TIMEOUT_SECONDS together, which are {longest:g}")
        return value

    def provider_choice(self) -> ProviderChoice:
        """Raises `StartupError` also where a call might talk on after the engine gave its slot to another."""
        choice = super().provider_choice()
        until_answered = self.claim_valid_seconds + self.provider_timeout_seconds + _RINGING_SECONDS
        choice.ends_calls_within(
            self.longest_call_seconds + self.longest_call_grace_seconds - until_answered,
            "LONGEST_CALL_SECONDS and LONGEST_CALL_GRACE_SECONDS together, without CLAIM_VALID_SECONDS, PROVIDER_TIMEOUT_SECONDS "
            f"and {_RINGING_SECONDS} seconds of ringing",
        )
        return choice

    def provider_base_url(self) -> str:
        return self.provider_url or f"http://127.0.0.1:{self.simulator_port}"
