"""Owns one Kafka process: format, start, wait until it answers, stop, kill, start again on the same data."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from infra.children import die_with_this_process

START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_HERE = Path(__file__).parent
LIBS = Path(".kafka/libs")
SINGLE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "8",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "broker.session.timeout.ms": "3000",  # after kill -9 the node waits this long for its own former session
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.retention.minutes": "43200",
    "message.max.bytes": "2097152",
}
"""What a node that is a cluster by itself needs, whether it runs from the jars or in a container."""


class BrokerError(Exception):
    """The broker can not run; the message is one line that says what is wrong and what to do."""


def port_is_open(port: int) -> bool:
    """Whether somebody listens on the port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(slots=True)
class Broker:
    """A single-node broker whose data lives in `directory`; usable again after `stop` or `kill`, with the same data."""

    directory: Path
    port: int
    controller_port: int
    libs: Path = LIBS
    process: "subprocess.Popen[bytes] | None" = field(default=None)
    properties: Mapping[str, str] = field(default_factory=dict)
    """What is to differ from a plain node, by Kafka's names."""
    scram_users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords by name; known from the first start on."""
    _log_begins: int = field(default=0, repr=False)

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        return self.directory / "broker.log"

    def start(self) -> None:
        """Return once it answers; raises `BrokerError`. Does nothing when it runs."""
        if self.process is not None and self.process.poll() is None:
            return
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"the broker did not answer within {START_SECONDS:.0f} s (its log is {self.log_file})")
            time.sleep(0.05)

    def launch(self) -> None:
        """Start the process without waiting until it answers; raises `BrokerError`."""
        for port in (self.port, self.controller_port):
            if port_is_open(port):
                name = "KAFKA_PORT" if port == self.port else "KAFKA_CONTROLLER_PORT"
                raise BrokerError(f"port {port} is in use: stop what listens there, or set {name} to another port")
        java = _java()
        if not any(self.libs.glob("kafka_2.13-*.jar")):
            raise BrokerError(f"no Kafka jars in {self.libs}: run `make setup`")
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(java, properties)
        with self.log_file.open("ab") as log:
            self._log_begins = log.tell()
            self.process = subprocess.Popen(
                [*java, "-Xmx512m", "-Xms256m", "-XX:+UseG1GC", *self._classpath(), "kafka.Kafka", str(properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_this_process(),
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Whether it takes connections; raises `BrokerError` with the telling line of its log where it has ended."""
        if self.process is None or self.process.poll() is not None:
            raise BrokerError(f"the broker did not start: {self._last_line()} (its log is {self.log_file})")
        return port_is_open(self.port)

    def stop(self) -> None:
        """Ask it to stop, and kill it if it does not."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """kill -9; what it had written stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _last_line(self) -> str:
        return _telling_line(self.log_file.read_bytes()[self._log_begins :].decode(errors="replace"))

    def _format(self, java: list[str], properties: Path) -> None:
        shutil.rmtree(self.directory / "data", ignore_errors=True)
        identifier = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        users = [
            f"--add-scram={mechanism}=[name={name},password={password}]"
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for name, password in self.scram_users.items()
        ]
        done = subprocess.run(
            [*java, *self._classpath(), "kafka.tools.StorageTool", "format", "--standalone",
             f"--cluster-id={identifier}", "-c", str(properties), *users],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise BrokerError(f"the broker's data can not be formatted: {_telling_line(done.stderr or done.stdout)}")

    def _classpath(self) -> list[str]:
        return [f"-Dlog4j2.configurationFile={_HERE / 'log4j2.yaml'}", "-cp", f"{self.libs.resolve()}/*"]

    def _write_properties(self) -> Path:
        own = {
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": str(self.directory.resolve() / "data"),
        }
        path = self.directory / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in {**SINGLE_NODE, **own, **self.properties}.items()))
        return path


def _telling_line(output: str) -> str:
    if "UnsupportedClassVersionError" in output:
        return "this Java is too old: install Java 17 or later, or set JAVA_HOME to one"
    lines = output.strip().splitlines()
    telling = [line for line in lines if "ERROR" in line or "Exception" in line]
    return (telling or lines or ["it said nothing"])[-1].strip()[:300]


def _java() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    if shutil.which(java) is None:
        raise BrokerError("no Java found: install Java 17 or later, or set KAFKA_BOOTSTRAP_SERVERS to a cluster of yours")
    return [java]
