"""Owns what is configured from outside: environment variables, each with a default that fits one machine."""

import logging
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source
from sqlalchemy.engine import make_url

from events.topics import Topic
from projections.store.engine import with_async_driver
from services.runtime.errors import StartupError
from services.runtime.secret_files import SecretFiles, secret_file

_log = logging.getLogger(__name__)

Port = Annotated[int, Field(ge=1, le=65535)]
Secret = Annotated[str, Field(repr=False)]
"""May stand in a file instead, which the variable of the same name with `_FILE` names."""


class Settings(BaseSettings):
    """What every service reads; a service adds its own by subclassing. Names are the environment's, without a prefix."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_session_seconds: Annotated[float, Field(ge=1, le=300)] = 10
    """After how long without a word a process of a group is taken for dead and its partitions go to others."""
    member_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$", default_factory=socket.gethostname)]
    """With its port, by which a process keeps its partitions over a restart; two of a service must not have the same."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: Secret = ""
    kafka_ca_file: Path | None = None
    """Who may have signed the brokers' certificates; unset, whom the system trusts."""
    kafka_cert_file: Path | None = None
    """Our own certificate, where the brokers ask for one; its key stands in it too, or in the next."""
    kafka_key_file: Path | None = None
    topic_partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    topic_replication_factor: Annotated[int, Field(ge=1, le=7)] = 1
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """Stands before every topic, group and transactional id, so that several stacks can share one cluster."""
    start_from: Literal["earliest", "latest"] | None = None
    """Where a consumer group goes on that has lost its place on a log whose beginning is gone; unset, that is an error."""
    data_dir: Path = Path(".data")
    database_url: Secret = ""
    """The read model; empty means SQLite in `data_dir`."""
    callback_secret: Secret = ""
    """The key that authenticates providers' callbacks; empty means one drawn once and kept in `data_dir`."""
    webhook_secret: Secret = ""
    """What the orgs' signing secrets follow from; empty means one drawn once and kept in `data_dir`."""
    webhook_allowed_private_hosts: str = ""
    """Hosts, comma-separated as `name` or `name:port`, that customers' URLs may name though their address is private; for development."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    host: str = "127.0.0.1"
    api_port: Port = 8080
    engine_port: Port = 8081
    projector_port: Port = 8082
    dialer_port: Port = 8083
    notifier_port: Port = 8084
    simulator_port: Port = 8090

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        return with_async_driver(value) if value else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError("KAFKA_SECURITY_PROTOCOL: SASL needs KAFKA_USERNAME and KAFKA_PASSWORD")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Source,
        env_settings: Source,
        dotenv_settings: Source,
        file_secret_settings: Source,
    ) -> tuple[Source, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; raises `StartupError` with one line that names each wrong variable."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            wrong = [_said(e) for e in error.errors(include_url=False, include_input=False)]
            raise StartupError("wrong setting: " + "; ".join(wrong)) from error

    def read_model_url(self) -> str:
        """The read model's database with its async driver."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'read-model.sqlite'}"

    def own_store_url(self, service: str) -> str:
        """The database of what the service keeps for itself: beside the read model on PostgreSQL, a file of its own otherwise."""
        if self._is_shared():
            return self.database_url
        return f"sqlite+aiosqlite:///{self.data_dir / f'{service}.sqlite'}"

    def topic_name(self, topic: Topic) -> str:
        return self.topic_prefix + topic.name

    def group_id(self, service: str) -> str:
        return self.topic_prefix + service

    def callback_key(self) -> bytes:
        """The secret behind the callback URLs; drawn and kept (mode 0600) by whoever asks first where none is set."""
        return (self.callback_secret or self._kept_secret("CALLBACK_SECRET")).encode()

    def webhook_key(self) -> bytes:
        """The secret from which follows what each org's webhooks are signed with; drawn and kept likewise."""
        return (self.webhook_secret or self._kept_secret("WEBHOOK_SECRET")).encode()

    def _kept_secret(self, variable: str) -> str:
        path = self.data_dir / variable.lower().replace("_", "-")
        if self._is_shared() and not path.exists():
            told = "%s is not set: one is drawn and kept in %s, and processes on other machines draw others"
            _log.warning(told, variable, path, extra={"action": "draw-secret"})
        return secret_file(path)

    def _is_shared(self) -> bool:
        """Whether the database can be reached from other machines, whose files are not ours."""
        return bool(self.database_url) and make_url(self.database_url).get_backend_name() != "sqlite"


def _said(error: ErrorDetails) -> str:
    """The variable and what is wrong with it; what is wrong between several names them itself."""
    message = error["msg"].removeprefix("Value error, ")
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
