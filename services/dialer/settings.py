"""Owns the dialer's own settings."""

from typing import Annotated

from pydantic import Field

from services.runtime.settings import Settings

Seconds = Annotated[float, Field(gt=0, le=3_600)]
CallsPerSecond = Annotated[float, Field(ge=0.01, le=10_000)]
Count = Annotated[int, Field(ge=1, le=100_000)]


class DialerSettings(Settings):
    """Spans are in seconds. A claim's life and the provider's timeout together must stay under the engine's wait for an outcome."""

    claim_valid_seconds: Seconds = 30
    dialer_max_in_flight: Count = 500
    """How many requests to the provider run at once."""
    dialer_max_taken: Count = 2_000
    """How many calls are looked after at once, from `CallQueued` to the durable outcome; beyond that the log waits."""
    dialer_stop_seconds: Seconds = 5
    """How long a stop waits for requests under way before their outcome counts as unknown."""
    provider_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """Empty means the simulator on this machine."""
    provider_key: str = "simulator"
    provider_name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "simulator"
    provider_can_find: bool = True
    """Whether the provider answers `GET /call?metadataCallId=&attempt=`; the simulator does, Vapi does not."""
    provider_calls_per_second: CallsPerSecond | None = None
    """The most of this dialer process; unset, as fast as the provider takes them."""
    provider_timeout_seconds: Seconds = 20
    provider_connect_seconds: Seconds = 5
    callback_base_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """The API as the provider reaches it; empty means on this machine."""

    def provider_base_url(self) -> str:
        return self.provider_url or f"http://127.0.0.1:{self.simulator_port}"

    def callback_base(self) -> str:
        return self.callback_base_url or f"http://127.0.0.1:{self.api_port}"
