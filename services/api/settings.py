"""Owns the API's own settings."""

from typing import Annotated

from pydantic import Field

from services.runtime.provider_settings import ProviderSettings


class ApiSettings(ProviderSettings):
    """Spans are in seconds; what the contract fixes is only the default."""

    duplicate_window_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0
    """For how long an equal request joins one that was fully answered; 0: it does not (contract, "Repeats by the SDKs")."""
    v1_calls_as_strings: bool = False
    """Whether the values of `calls` are JSON strings, as some clients expect, instead of objects."""
    api_hold_seconds: Annotated[float, Field(gt=0, le=55)] = 50
    """How long a request is held until its command's outcome is known; the SDKs give up after 60."""
    api_read_model_patience_seconds: Annotated[float, Field(gt=0)] = 10
    """How long an answer waits for the read model to know an outcome before it is built from the events."""
    api_max_writes: Annotated[int, Field(ge=1)] = 1_000
    """How many commands may wait for their outcome at once; beyond that 503."""
    api_max_requests: Annotated[int, Field(ge=1)] = 5_000
    """How many requests may be in progress at once, those that are held or still come in among them; beyond that 503."""
    api_max_connections: Annotated[int, Field(ge=1)] = 6_000
    """How many connections are taken at once, idle ones among them; one beyond that is answered by 503 and closed."""
    api_max_large_bodies: Annotated[int, Field(ge=1)] = 3
    """How many bodies above 1 MiB are held in memory at once; more wait to be read."""
    api_key_requests_per_second: Annotated[float, Field(ge=0)] = 100
    """How often a key may ask of this process, ten seconds' worth at once; 0: as often as it likes. Beyond that 429."""
    api_org_requests_per_second: Annotated[float, Field(ge=0)] = 500
    """The same for all keys of an org together."""
    api_key_outage_seconds: Annotated[float, Field(ge=0)] = 300
    """For how long a key that this process found good stays good while the keys can not be looked up; 0: not at all."""
    api_answer_cache_bytes: Annotated[int, Field(ge=0)] = 32 * 1024 * 1024
    """How many bytes of summaries are kept to be answered again while their campaigns do not change; 0: none."""
    api_max_upload_bytes: Annotated[int, Field(ge=1)] = 1024 * 1024 * 1024
    """How large an upload of contacts may be."""
    api_upload_seconds: Annotated[float, Field(gt=0)] = 600
    """How long an upload may take to come, and then to be read and known; the engine waits as long for a campaign's contacts."""
    api_max_uploads: Annotated[int, Field(ge=1)] = 3
    """How many uploads are taken at once, of one org one less; more wait to be read, as long as requests are held, then 503."""
