"""Every client reaches a broker that demands TLS and proof of who it is, as the settings say, and says in one line why it can not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme
from aiokafka.structs import TopicPartition

from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS
from infra.kafka.acls import acls
from infra.kafka.broker import LIBS
from services.runtime.errors import StartupError
from services.runtime.kafka import make_consumer, make_producer
from services.runtime.log_identity import log_identity
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics
from tests.support.secure_broker import SecureBroker, password_of, secure_broker


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    if not LIBS.exists():
        pytest.skip("the jars are not fetched where a cluster is named")
    with secure_broker(tmp_path_factory.mktemp("secure"), ("engine",)) as running:
        yield running


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "a certificate", "SCRAM without TLS"])
def as_engine(request: pytest.FixtureRequest, secure: SecureBroker) -> Settings:
    prefix = f"t{uuid4().hex[:10]}-"
    match request.param:
        case "a certificate":
            own = secure.identity("engine")
            settings = secure.settings("", "SSL", kafka_cert_file=own.cert_file, kafka_key_file=own.key_file, topic_prefix=prefix)
        case "SCRAM without TLS":
            settings = secure.settings("engine", "SASL_PLAINTEXT", topic_prefix=prefix)
        case mechanism:
            settings = secure.settings("engine", kafka_sasl_mechanism=mechanism, topic_prefix=prefix)
    secure.allow(acls(settings))
    return settings


async def test_producers_consumers_and_admins_get_through(as_engine: Settings) -> None:
    await ensure_topics(as_engine, ["engine"])
    producer = make_producer(as_engine, transactional_id="engine-0")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(as_engine.topic_name(CAMPAIGN_EVENTS), b"x", partition=0)
    await producer.stop()
    consumer = make_consumer(as_engine)
    await consumer.start()
    place = TopicPartition(as_engine.topic_name(CAMPAIGN_EVENTS), 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    assert (await consumer.getone()).value == b"x"
    await consumer.stop()
    assert all(await log_identity(as_engine, as_engine.topic_name(CAMPAIGN_COMMANDS)))


@pytest.mark.parametrize(
    ("protocol", "wrong"),
    [
        ("SASL_SSL", {"kafka_password": "not-it"}),
        ("SASL_SSL", {"kafka_username": "nobody"}),
        ("SASL_SSL", {"kafka_security_protocol": "PLAINTEXT"}),
        ("SSL", {}),
        ("SASL_SSL", {"kafka_ca_file": "another"}),
    ],
    ids=["password", "user", "no TLS", "no certificate", "another CA"],
)
async def test_who_is_not_let_in_learns_it_in_one_line(
    secure: SecureBroker, tmp_path: Path, protocol: str, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    if "kafka_ca_file" in wrong:
        wrong = {"kafka_ca_file": tmp_path / "other.pem"}
        trustme.CA().cert_pem.write_to_path(wrong["kafka_ca_file"])
    settings = secure.settings("engine", protocol, **wrong)
    with pytest.raises(StartupError) as caught:
        await ensure_topics(settings)
    assert "KAFKA_SECURITY_PROTOCOL" in str(caught.value)
    for said in (str(caught.value), caplog.text):
        assert "not-it" not in said
        assert password_of("engine") not in said


def test_certificates_that_are_not_there_are_named(secure: SecureBroker, tmp_path: Path) -> None:
    for name in ("kafka_ca_file", "kafka_cert_file"):
        settings = secure.settings().model_copy(update={name: tmp_path / "none.pem"})
        with pytest.raises(StartupError, match="KAFKA_CA_FILE"):
            make_consumer(settings)
