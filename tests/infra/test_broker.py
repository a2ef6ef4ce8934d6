"""The local broker: what goes wrong is one line, what was written survives kill -9, and Docker runs the same settings."""

import socket
from pathlib import Path

import pytest

from infra.kafka.broker import LIBS, SINGLE_NODE, Broker, BrokerError
from services.runtime.kafka import make_consumer, make_producer
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.support.kafka import IMAGE
from tests.support.ports import free_port

COMPOSE = Path(__file__).parents[2] / "infra" / "compose.yaml"


def _broker(directory: Path, libs: Path = LIBS) -> Broker:
    return Broker(directory, free_port(), free_port(), libs)


def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", broker.port))
        taken.listen()
        with pytest.raises(BrokerError, match=f"port {broker.port} is in use: .* KAFKA_PORT"):
            broker.start()


def test_a_missing_java_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match="no Java found: install Java 17"):
        _broker(tmp_path).start()


def test_missing_jars_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="run `make setup`"):
        _broker(tmp_path, libs=tmp_path / "nothing").start()


@pytest.mark.skipif(not LIBS.exists(), reason="the jars are not fetched where a cluster is named")
def test_a_broker_that_dies_tells_its_last_error(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another\n")
    with pytest.raises(BrokerError, match=r"the broker did not start: .*node") as caught:
        broker.start()
    assert "\n" not in str(caught.value)
    assert broker.process is not None


async def test_what_was_acknowledged_survives_kill_9(own_broker: Broker) -> None:
    settings = Settings(kafka_bootstrap_servers=own_broker.bootstrap_servers, topic_partitions=1)
    await ensure_topics(settings)
    async with make_producer(settings) as producer:
        await producer.send_and_wait("campaign-commands", b"kept")
    own_broker.kill()
    own_broker.start()
    consumer = make_consumer(settings, "campaign-commands", auto_offset_reset="earliest")
    async with consumer:
        assert (await consumer.getone()).value == b"kept"


def test_docker_runs_the_same_broker_with_the_same_settings() -> None:
    text = COMPOSE.read_text()
    given = dict(line.strip().split(": ", 1) for line in text.splitlines() if line.strip().startswith("KAFKA_"))
    for name, value in SINGLE_NODE.items():
        assert given["KAFKA_" + name.upper().replace(".", "_")].strip('"') == value
    assert IMAGE in text
    assert '"127.0.0.1:9092:9092"' in text
