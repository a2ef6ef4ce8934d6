"""Owns the settings that the dialer, which asks the providers, and the API, which they call back, must read alike."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from services.runtime.provider_choice import ProviderChoice, read_provider_choice
from services.runtime.settings import Secret, Settings


class ProviderSettings(Settings):
    """The providers beside the one of `PROVIDER_URL`."""

    providers: Secret = ""
    """JSON, as `services.runtime.provider_choice` says."""
    providers_file: Path | None = None
    callback_base_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """The API as the provider reaches it; empty means on this machine."""

    def callback_base(self) -> str:
        return self.callback_base_url or f"http://127.0.0.1:{self.api_port}"

    def provider_choice(self) -> ProviderChoice:
        return read_provider_choice(self.providers, self.providers_file)
