"""Settings: names, defaults, spellings of databases, and what a wrong value says."""

import socket
import stat
from pathlib import Path

import pytest

from events.topics import CAMPAIGN_EVENTS
from services.runtime.errors import StartupError
from services.runtime.kafka import member_id
from services.runtime.settings import Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_without_any_variable_it_runs_on_one_machine() -> None:
    settings = Settings.load()
    assert settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert settings.topic_partitions == 6
    assert settings.read_model_url() == "sqlite+aiosqlite:///.data/read-model.sqlite"
    assert settings.host == "127.0.0.1"


def test_processes_on_hosts_of_the_same_name_have_places_of_their_own_by_their_member_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert member_id(Settings.load(), "dialer", 8083) == f"dialer-{socket.gethostname()}-8083"
    monkeypatch.setenv("MEMBER_NAME", "rack-1")
    assert member_id(Settings.load(), "dialer", 8083) == "dialer-rack-1-8083"


def test_a_member_name_that_kafka_would_not_take_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMBER_NAME", "rack 1")
    with pytest.raises(StartupError, match="MEMBER_NAME"):
        Settings.load()


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "")
    monkeypatch.setenv("START_FROM", "")
    assert Settings.load().api_port == 8080


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:///x.sqlite", "sqlite+aiosqlite:///x.sqlite"),
        ("sqlite+aiosqlite:////var/x.sqlite", "sqlite+aiosqlite:////var/x.sqlite"),
        ("postgresql://u:p@h:5432/d", "postgresql+asyncpg://u:p@h:5432/d"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_a_database_is_reached_by_its_async_driver(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    assert Settings.load().read_model_url() == used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "80a"),
        ("API_PORT", "70000"),
        ("TOPIC_PARTITIONS", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("TOPIC_PREFIX", "a b"),
        ("START_FROM", "somewhere"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable_and_not_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as caught:
        Settings.load()
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_callback_key_is_drawn_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    first = settings.callback_key()
    assert len(first) >= 32
    assert Settings(data_dir=tmp_path / "data").callback_key() == first
    assert stat.S_IMODE((tmp_path / "data" / "callback-secret").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["callback-secret"]


def test_a_callback_key_that_is_set_is_used(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path, callback_secret="chosen").callback_key() == b"chosen"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("database", "warned"), [("postgresql://u@h/d", ["WEBHOOK_SECRET"]), ("", [])])
def test_a_secret_is_drawn_with_a_warning_where_other_machines_share_the_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, database: str, warned: list[str]
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=database)
    keys = [settings.webhook_key(), settings.webhook_key()]
    assert keys[0] == keys[1]
    assert [record.getMessage().split()[0] for record in caplog.records] == warned
    assert keys[0].decode() not in caplog.text


@pytest.mark.parametrize("name", ["KAFKA_PASSWORD", "DATABASE_URL", "CALLBACK_SECRET", "WEBHOOK_SECRET"])
def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    secret = "sqlite+aiosqlite:///x.sqlite" if name == "DATABASE_URL" else "hunter2"
    (tmp_path / "secret").write_text(secret + "\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    settings = Settings.load()
    assert getattr(settings, name.lower()) == secret
    assert secret not in repr(settings)


def test_a_secret_in_a_file_that_is_wrong_is_one_line_that_names_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for path, wrong in ((tmp_path / "none", "can not be read"), (tmp_path / "empty", "is empty")):
        monkeypatch.setenv("WEBHOOK_SECRET_FILE", str(path))
        with pytest.raises(StartupError, match=f"WEBHOOK_SECRET_FILE: {wrong}"):
            Settings.load()
    monkeypatch.setenv("WEBHOOK_SECRET", "hunter2")
    with pytest.raises(StartupError, match="not both") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)


def test_a_port_does_not_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("API_PORT_FILE", str(tmp_path / "none"))
    assert Settings.load().api_port == 8080


def test_sasl_needs_a_name_and_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(StartupError, match="KAFKA_USERNAME and KAFKA_PASSWORD"):
        Settings.load()


def test_a_prefix_stands_before_topics_and_groups() -> None:
    settings = Settings(topic_prefix="blue-")
    assert settings.topic_name(CAMPAIGN_EVENTS) == "blue-campaign-events"
    assert settings.group_id("engine") == "blue-engine"
