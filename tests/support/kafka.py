"""Owns the broker of a test session: a cluster that is named, a container where Docker answers, the official jars otherwise."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.kafka.broker import Broker, free_port

_IMAGE = "apache/kafka:4.3.1"


@contextmanager
def running_broker(directory: Path) -> Iterator[str]:
    """The bootstrap servers of a real Kafka for as long as the block runs."""
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield named
    elif docker_answers():
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - only where Docker is

        with KafkaContainer(_IMAGE).with_kraft() as container:
            yield str(container.get_bootstrap_server())
    else:
        broker = Broker(directory, free_port(), free_port())
        broker.start()
        try:
            yield broker.bootstrap_servers
        finally:
            broker.kill()


def docker_answers() -> bool:
    """Whether a Docker engine answers and has, or can pull, the broker's image."""
    import docker  # noqa: PLC0415 - slow to import, and only asked here
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=3)
        client.ping()
    except DockerException:
        return False
    try:
        client.images.get(_IMAGE)
    except DockerException:
        try:
            client.images.pull(_IMAGE)
        except DockerException:
            return False
    return True
