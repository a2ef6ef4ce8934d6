"""Owns what the simulated network is like: how calls go, how long they take, how badly callbacks behave."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.errors import StartupError

Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class WrongSettingsError(Exception):
    """Settings that were given break a rule; one message for each. Not retriable."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class Network(BaseSettings):
    """Read from the environment as `SIMULATOR_<NAME>`.

    Of the five shares of outcomes each counts by its part of their sum. Rates are probabilities, per call or per
    callback. Seconds are simulated, `time_scale` of them pass in a real one; what names `real` is not scaled.
    """

    model_config = SettingsConfigDict(
        env_prefix="SIMULATOR_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    seed: int = 1
    time_scale: Annotated[float, Field(gt=0, le=1_000_000)] = 20
    answer_share: Share = 0.6
    voicemail_share: Share = 0.15
    busy_share: Share = 0.1
    no_answer_share: Share = 0.1
    failure_share: Share = 0.05
    forward_rate: Rate = 0.05
    """Of the answered calls."""
    ring_seconds_min: Seconds = 4
    ring_seconds_max: Seconds = 25
    no_answer_seconds: Seconds = 30
    talk_seconds_min: Seconds = 20
    talk_seconds_max: Seconds = 140
    report_delay_seconds: Seconds = 2
    """From a call's end to its end-of-call report."""
    status_updates: bool = True
    """Whether status updates are called back beside the end-of-call report."""
    late_rate: Rate = 0
    late_seconds_max: Seconds = 60
    double_rate: Rate = 0
    reorder_rate: Rate = 0
    """Of the callbacks that change places with the one after them."""
    lose_rate: Rate = 0
    refuse_rate: Rate = 0
    """Of the calls that are answered with a 400 and not placed."""
    fail_rate: Rate = 0
    """Of the calls that are answered with a 503 and not placed."""
    drop_answer_rate: Rate = 0
    """Of the calls that are placed although the connection is cut instead of an answer."""
    answer_real_seconds_min: Seconds = 0.005
    answer_real_seconds_max: Seconds = 0.03
    callback_tries: Annotated[int, Field(ge=1, le=100)] = 16
    callback_retry_real_seconds: Seconds = 0.25
    """Before the second try of a callback; twice as long before each further one, up to 5."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        for name in ("ring_seconds", "talk_seconds", "answer_real_seconds"):
            if getattr(self, f"{name}_min") > getattr(self, f"{name}_max"):
                raise ValueError(f"{name}_min must not be above {name}_max")
        if not sum(self.outcome_shares()):
            raise ValueError("one of the shares must be above 0")
        return self

    def outcome_shares(self) -> tuple[float, float, float, float, float]:
        """Answered, voicemail, busy, no answer, failure."""
        return (self.answer_share, self.voicemail_share, self.busy_share, self.no_answer_share, self.failure_share)

    @classmethod
    def load(cls) -> Self:
        """Read the environment; raises `StartupError` with one line that names each wrong variable."""
        try:
            return cls()
        except ValidationError as error:
            raise StartupError("wrong setting: " + "; ".join(_messages(error, "SIMULATOR_"))) from error

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The same network but for these; raises `WrongSettingsError`."""
        unknown = sorted(set(changes) - set(type(self).model_fields))
        if unknown:
            raise WrongSettingsError([f"property {name} should not exist" for name in unknown])
        try:
            return type(self)(**(self.model_dump() | dict(changes)))
        except ValidationError as error:
            raise WrongSettingsError(_messages(error, "")) from error


def _messages(error: ValidationError, prefix: str) -> list[str]:
    details = error.errors(include_url=False, include_input=False)
    return [f"{prefix}{'.'.join(map(str, d['loc'])).upper() if prefix else '.'.join(map(str, d['loc']))}: {d['msg']}" for d in details]
