"""Owns a broker that demands TLS, and a password or a certificate, and lets nobody do what no ACL allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from infra.kafka.acls import Acl
from infra.kafka.broker import Broker
from services.runtime.settings import Settings
from tests.support.ports import free_port

ADMIN = "admin"
_CORES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactional-id": ResourceType.TRANSACTIONAL_ID}


@dataclass(slots=True)
class Identity:
    """A certificate and its key, each as a PEM file."""

    cert_file: Path
    key_file: Path


@dataclass(slots=True)
class SecureBroker:
    """`ports` by the protocol that each demands. Users' passwords are `password_of` them; `admin` may do everything."""

    broker: Broker
    ca: trustme.CA
    ca_file: Path
    directory: Path
    ports: dict[str, int]

    def settings(self, user: str = ADMIN, protocol: str = "SASL_SSL", **fields: object) -> Settings:
        """As this user by SCRAM-SHA-512; `fields` instead of what they name."""
        reached = {
            "kafka_bootstrap_servers": f"127.0.0.1:{self.ports[protocol]}",
            "kafka_security_protocol": protocol,
            "kafka_username": user,
            "kafka_password": password_of(user),
            "kafka_ca_file": self.ca_file,
            "topic_partitions": 2,
        }
        return Settings.model_validate(reached | fields)

    def identity(self, name: str) -> Identity:
        return identity(self.ca, self.directory, name)

    def allow(self, acls: list[Acl]) -> None:
        """Put these in force."""
        admin = self._admin()
        for done in admin.create_acls([binding for acl in acls for binding in bindings_of(acl)], request_timeout=30).values():
            done.result(30)

    def _admin(self) -> AdminClient:
        reached = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "ssl.ca.location": str(self.ca_file)}
        servers = f"127.0.0.1:{self.ports['SASL_SSL']}"
        return AdminClient(
            reached | {"bootstrap.servers": servers, "sasl.username": ADMIN, "sasl.password": password_of(ADMIN), "log_level": 0}
        )

    def in_force(self, principal: str) -> set[AclBinding]:
        """What the principal may do."""
        anything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, principal, None, AclOperation.ANY, AclPermissionType.ANY
        )
        admin = self._admin()
        return set(admin.describe_acls(anything, request_timeout=30).result(30))

    def tool_properties(self) -> Path:
        """The file by which Kafka's own tools reach it as `admin`."""
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        properties = {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.jaas.config": f'{module} required username="{ADMIN}" password="{password_of(ADMIN)}";',
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
        }
        file = self.directory / "admin.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        return file


def bindings_of(acl: Acl) -> list[AclBinding]:
    """As the client knows it: one for each operation."""
    pattern = ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL
    return [
        AclBinding(_CORES[acl.resource], acl.name, pattern, acl.principal, "*", AclOperation[operation], AclPermissionType.ALLOW)
        for operation in acl.operations
    ]


def password_of(user: str) -> str:
    return f"password-of-{user}"


@contextmanager
def secure_broker(directory: Path, users: tuple[str, ...]) -> Iterator[SecureBroker]:
    """It runs until the block ends, and knows `admin` and these users."""
    directory.mkdir(parents=True, exist_ok=True)
    ca, ca_file = trustme.CA(), directory / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    ports = {protocol: free_port() for protocol in ("SSL", "SASL_SSL", "SASL_PLAINTEXT")}
    everybody = {user: password_of(user) for user in (ADMIN, *users)}
    controller_port = free_port()
    broker = Broker(
        directory / "broker",
        ports["SSL"],
        controller_port,
        properties=_properties(directory, identity(ca, directory, "broker"), ca_file, ports, controller_port, everybody),
        scram_users=everybody,
    )
    broker.start()
    try:
        yield SecureBroker(broker, ca, ca_file, directory, ports)
    finally:
        broker.kill()


def _properties(
    directory: Path, own: Identity, ca_file: Path, ports: dict[str, int], controller_port: int, users: dict[str, str]
) -> dict[str, str]:
    keystore = directory / "broker-keystore.pem"
    keystore.write_text(own.key_file.read_text() + own.cert_file.read_text())
    listeners = ",".join(f"{protocol}://127.0.0.1:{port}" for protocol, port in ports.items())
    plain = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    module = "org.apache.kafka.common.security"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listeners,
        "inter.broker.listener.name": "SSL",
        "listener.security.protocol.map": ",".join([*(f"{name}:{name}" for name in ports), "CONTROLLER:PLAINTEXT"]),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca_file),
        "listener.name.ssl.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^.*CN=([a-z-]+).*$/$1/,DEFAULT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:broker;User:{ADMIN}",  # the node speaks to itself as the first two
    }
    for name in ("sasl_ssl", "sasl_plaintext"):
        prefix = f"listener.name.{name}"
        properties |= {
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{prefix}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {plain};",
            f"{prefix}.scram-sha-256.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
        }
    return properties


def identity(ca: trustme.CA, directory: Path, name: str) -> Identity:
    """Issued by the CA for this machine, with the name as its common name."""
    issued = ca.issue_cert("localhost", "127.0.0.1", common_name=name)
    files = Identity(directory / f"{name}-cert.pem", directory / f"{name}-key.pem")
    files.cert_file.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    files.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))  # what Java reads
    return files
