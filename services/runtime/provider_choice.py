"""Owns the configuration of call providers: which there are, and which dials for an org and a phone number id."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from services.runtime.errors import StartupError

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://\S+$")]
Identifier = Annotated[str, Field(min_length=1, max_length=200)]
CallsPerSecond = Annotated[float, Field(ge=0.01, le=10_000)]
_HOW = 'must be the secret, {"env": "NAME"} or {"file": "/path"}'


def _read_secret(value: Any) -> Any:
    match value:
        case {"env": str(name), **others} if not others:
            secret = os.environ.get(name, "")
            if not secret:
                raise ValueError(f"the environment variable {name} is not set")
        case {"file": str(path), **others} if not others:
            try:
                secret = Path(path).read_text().strip()
            except (OSError, ValueError) as error:
                raise ValueError(f"the file {path} can not be read: {type(error).__name__}") from error
        case str():
            secret = value
        case _:
            raise ValueError(_HOW)
    if not secret:
        raise ValueError("is empty: " + _HOW)
    return secret


Secret = Annotated[SecretStr, BeforeValidator(_read_secret)]


class _Config(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)


class VapiConfig(_Config):
    """A provider that speaks Vapi's `POST /call`. `canFind`: whether it finds calls by our id; Vapi does not."""

    kind: Literal["vapi"]
    url: HttpUrl
    key: Secret
    can_find: bool = False
    calls_per_second: CallsPerSecond | None = None


class TwilioConfig(_Config):
    """An account at Twilio. `url` serves the TwiML of each call; `callers` gives the caller number of each phone number id."""

    kind: Literal["twilio"]
    account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")]
    auth_token: Secret
    url: HttpUrl
    callers: Annotated[dict[Identifier, Annotated[str, Field(pattern=r"^\+[1-9]\d{1,14}$")]], Field(min_length=1)]
    machine_detection: Literal["Enable", "DetectMessageEnd"] | None = "Enable"
    """`None` leaves it off: then no call ends as `voicemail`."""
    longest_call_seconds: Annotated[int, Field(ge=1, le=86_400)] = 3_400
    """After which Twilio hangs up, counted from the answer: before the engine gives the call's slot to another."""
    calls_per_second: CallsPerSecond | None = None
    api_url: HttpUrl = "https://api.twilio.com"


ProviderConfig = Annotated[VapiConfig | TwilioConfig, Field(discriminator="kind")]


class Rule(_Config):
    """Calls of this org, of this phone number id, or of both, go to the provider."""

    org: Identifier | None = None
    phone_number_id: Identifier | None = None
    provider: Name

    @model_validator(mode="after")
    def _says_whose(self) -> "Rule":
        if self.org is None and self.phone_number_id is None:
            raise ValueError("must name an org or a phoneNumberId; `default` is for all others")
        return self


class ProviderChoice(_Config):
    """The providers beside the one of `PROVIDER_URL`, which is the default unless `default` names another."""

    providers: dict[Name, ProviderConfig] = {}
    rules: list[Rule] = []
    default: Name | None = None

    @model_validator(mode="after")
    def _one_rule_for_each(self) -> "ProviderChoice":
        seen = set()
        for rule in self.rules:
            key = (rule.org, rule.phone_number_id)
            if key in seen:
                raise ValueError(f"two rules are for the org {rule.org!r} and the phoneNumberId {rule.phone_number_id!r}")
            seen.add(key)
        return self

    def known_with(self, own_name: str) -> None:
        """Raises `StartupError` where a rule or the default names a provider that is neither here nor the one of `PROVIDER_NAME`."""
        if own_name in self.providers:
            raise StartupError(f"wrong setting: PROVIDERS: the name {own_name} is that of PROVIDER_NAME already")
        known = {own_name, *self.providers}
        named = [rule.provider for rule in self.rules] + ([self.default] if self.default else [])
        unknown = sorted(set(named) - known)
        if unknown:
            raise StartupError(f"wrong setting: PROVIDERS: no provider is named {', '.join(unknown)}; there are {', '.join(sorted(known))}")

    def ends_calls_within(self, most_seconds: float, why: str) -> None:
        """Raises `StartupError`, which says why, where a Twilio call may talk for longer."""
        for name, config in self.providers.items():
            if isinstance(config, TwilioConfig) and config.longest_call_seconds > most_seconds:
                raise StartupError(f"wrong setting: PROVIDERS: longestCallSeconds of {name} must be at most {most_seconds:g}: {why}")

    def name_for(self, org_id: str, phone_number_id: str | None, otherwise: str) -> str:
        """The most exact rule holds: for org and phone number id, for the phone number id, for the org, then the default."""
        by = {(rule.org, rule.phone_number_id): rule.provider for rule in self.rules}
        for key in ((org_id, phone_number_id), (None, phone_number_id), (org_id, None)):
            if key in by and key != (None, None):
                return by[key]
        return self.default or otherwise

    def twilio_tokens(self) -> dict[str, str]:
        """With what each Twilio provider signs its callbacks."""
        twilio = {name: config for name, config in self.providers.items() if isinstance(config, TwilioConfig)}
        return {name: config.auth_token.get_secret_value() for name, config in twilio.items()}


def read_provider_choice(text: str, file: Path | None) -> ProviderChoice:
    """From `PROVIDERS` or the file of `PROVIDERS_FILE`; raises `StartupError`, which names each wrong field and no secret."""
    if text and file is not None:
        raise StartupError("wrong setting: set PROVIDERS or PROVIDERS_FILE, not both")
    source = "PROVIDERS" if file is None else "PROVIDERS_FILE"
    try:
        content = text if file is None else file.read_text()
    except (OSError, ValueError) as error:
        raise StartupError(f"wrong setting: PROVIDERS_FILE: can not be read: {type(error).__name__}") from error
    if not content.strip():
        return ProviderChoice()
    try:
        return ProviderChoice.model_validate_json(content)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False, include_input=False)]
        raise StartupError(f"wrong setting: {source}: " + "; ".join(wrong)) from error
