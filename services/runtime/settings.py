"""Owns what is configured from outside: environment variables, each with a default that fits one machine."""

import os
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url

from events.topics import Topic
from projections.store.engine import with_async_driver
from services.runtime.errors import StartupError

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What every service reads; a service adds its own by subclassing. Names are the environment's, without a prefix."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_session_seconds: Annotated[float, Field(ge=1, le=300)] = 10
    """After how long without a word a process of a group is taken for dead and its partitions go to others."""
    topic_partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    topic_replication_factor: Annotated[int, Field(ge=1, le=7)] = 1
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$")] = ""
    """Stands before every topic, group and transactional id, so that several stacks can share one cluster."""
    start_from: Literal["earliest", "latest"] | None = None
    """Where a consumer group goes on that has lost its place on a log whose beginning is gone; unset, that is an error."""
    data_dir: Path = Path(".data")
    database_url: str = ""
    """The read model; empty means SQLite in `data_dir`."""
    callback_secret: str = ""
    """The key that authenticates providers' callbacks; empty means one drawn once and kept in `data_dir`."""
    webhook_secret: str = ""
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

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; raises `StartupError` with one line that names each wrong variable."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            wrong = [f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_url=False, include_input=False)]
            raise StartupError("wrong setting: " + "; ".join(wrong)) from error

    def read_model_url(self) -> str:
        """The read model's database with its async driver."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'read-model.sqlite'}"

    def own_store_url(self, service: str) -> str:
        """The database of what the service keeps for itself: beside the read model on PostgreSQL, a file of its own otherwise."""
        if self.database_url and make_url(self.database_url).get_backend_name() != "sqlite":
            return self.database_url
        return f"sqlite+aiosqlite:///{self.data_dir / f'{service}.sqlite'}"

    def topic_name(self, topic: Topic) -> str:
        return self.topic_prefix + topic.name

    def group_id(self, service: str) -> str:
        return self.topic_prefix + service

    def callback_key(self) -> bytes:
        """The secret behind the callback URLs; drawn and kept (mode 0600) by whoever asks first where none is set."""
        if self.callback_secret:
            return self.callback_secret.encode()
        return secret_file(self.data_dir / "callback-secret").encode()

    def webhook_key(self) -> bytes:
        """The secret from which follows what each org's webhooks are signed with; drawn and kept likewise."""
        return (self.webhook_secret or secret_file(self.data_dir / "webhook-secret")).encode()


def secret_file(path: Path) -> str:
    """The secret in the file; 256 random bits are written there, readable by the owner only, where it does not exist. Race-free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
