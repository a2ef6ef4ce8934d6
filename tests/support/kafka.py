"""Owns the broker of a test session: a cluster that is named, a container where Docker answers, the official jars otherwise."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from infra.kafka.broker import SINGLE_NODE, Broker
from tests.support.ports import free_port

IMAGE = "apache/kafka:4.3.1"


@contextmanager
def running_broker(directory: Path) -> Iterator[str]:
    """The bootstrap servers of a real Kafka for as long as the block runs."""
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield named
    elif docker_answers():
        with _container(free_port()) as servers:
            yield servers
    else:
        broker = Broker(directory, free_port(), free_port())
        broker.start()
        try:
            yield broker.bootstrap_servers
        finally:
            broker.kill()


@contextmanager
def _container(port: int) -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    properties = SINGLE_NODE | {
        "controller.quorum.voters": "1@127.0.0.1:9093",
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
    }
    container = DockerContainer(IMAGE).with_bind_ports(port, port).waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    for name, value in properties.items():
        container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        yield f"127.0.0.1:{port}"


def docker_answers() -> bool:
    """Whether a Docker engine answers and has, or can pull, the broker's image."""
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=3)
    except DockerException:
        return False
    with closing(client):
        try:
            client.ping()
        except DockerException:
            return False
        try:
            client.images.get(IMAGE)
        except DockerException:
            try:
                client.images.pull(IMAGE)
            except DockerException:
                return False
        return True
