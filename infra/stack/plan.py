"""Owns what the stack consists of: which processes, in which order, on which ports, with which environment."""

import os
import sys
from pathlib import Path
from typing import Self

from infra.kafka.broker import Broker, port_is_open
from infra.stack.child import Child
from infra.stack.errors import StackError
from services.runtime.settings import Port, Settings

SERVICES = ("simulator", "engine", "projector", "dialer", "notifier", "api")
"""In the order of starting; they are stopped the other way round."""
BROKER_DIRECTORY = Path(".kafka/broker")


class StackSettings(Settings):
    """The stack's own settings beside those that it hands to every service."""

    kafka_port: Port = 9092
    kafka_controller_port: Port = 9093

    def brings_its_own_broker(self) -> bool:
        """Whether no cluster was named."""
        return "kafka_bootstrap_servers" not in self.model_fields_set

    def phone_network(self) -> dict[str, str]:
        """How fast the simulated phone network runs unless the environment says: a call of a minute takes two seconds."""
        return {"SIMULATOR_TIME_SCALE": os.environ.get("SIMULATOR_TIME_SCALE") or "30"}

    def with_own_broker(self, broker: Broker) -> Self:
        """The same settings, with this broker as the cluster."""
        return self.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})


def port_of(settings: Settings, service: str) -> int:
    """The port that the service listens on."""
    port: int = getattr(settings, f"{service}_port")
    return port


def environment_of(settings: Settings) -> dict[str, str]:
    """This process's environment, with the shared settings spelled out, so that every service reads the same ones."""
    in_files = {name for name in Settings.model_fields if f"{name.upper()}_FILE" in os.environ}
    shared = {name.upper(): getattr(settings, name) for name in Settings.model_fields.keys() - in_files}
    spelled = {name: str(value) for name, value in shared.items() if value is not None}
    return os.environ | spelled | {"PYTHONUNBUFFERED": "1"}


def children_of(settings: Settings, **more_environment: str) -> dict[str, Child]:
    """One child for each service, none of them started."""
    environment = environment_of(settings) | more_environment
    return {
        service: Child(
            name=service,
            command=(sys.executable, "-m", f"services.{service}"),
            environment=environment,
            log_file=settings.data_dir / "logs" / f"{service}.log",
            ready_url=f"http://{settings.host}:{port_of(settings, service)}/health/ready",
        )
        for service in SERVICES
    }


def require_free_ports(settings: Settings) -> None:
    """Raise `StackError`, naming every one of them, where somebody else listens on ports of services."""
    taken = [service for service in SERVICES if port_is_open(port_of(settings, service))]
    if taken:
        ports = ", ".join(f"port {port_of(settings, service)} of the {service}" for service in taken)
        variables = ", ".join(f"{service.upper()}_PORT" for service in taken)
        verb, other = ("is", "another port") if len(taken) == 1 else ("are", "other ports")
        raise StackError(f"{ports} {verb} in use: stop what listens there, or set {variables} to {other}")
