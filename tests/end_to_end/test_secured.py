"""A stack whose Kafka and PostgreSQL demand who everybody is: each service as itself, and no person and no secret in a log."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from events.topics import CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_EVENTS, CAMPAIGN_STATE, Topic
from infra.kafka.acls import SERVICES, acls
from infra.kafka.broker import LIBS
from infra.stack.plan import children_of
from services.runtime.kafka import make_consumer, make_producer, partition_of
from services.runtime.settings import Settings
from tests.end_to_end.user import FAST, user_of
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.secure_broker import SecureBroker, bindings_of, password_of, secure_broker
from tests.support.secure_postgres import secure_postgres, server_programs
from tests.support.stack import RunningStack

_OUTSIDE = ("crm", "bi")
_MARK = "90210777"
"""Stands in every number, name, text and secret that must not be logged."""
_SECRETS = {
    "CALLBACK_SECRET": f"callback-{_MARK}",
    "WEBHOOK_SECRET": f"webhook-{_MARK}",
    "PROVIDER_KEY": f"provider-{_MARK}",
}
_MISBEHAVING = {
    "SIMULATOR_FAIL_RATE": "0.1",
    "SIMULATOR_REFUSE_RATE": "0.1",
    "SIMULATOR_DROP_ANSWER_RATE": "0.1",
    "SIMULATOR_DOUBLE_RATE": "0.2",
    "DIAL_OUTCOME_SECONDS": "60",
}


@dataclass(slots=True)
class Secured:
    secure: SecureBroker
    stack: RunningStack

    @property
    def settings(self) -> Settings:
        return self.stack.settings

    def as_user(self, name: str) -> Settings:
        return self.settings.model_copy(update={"kafka_username": name, "kafka_password": password_of(name)})


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    if not LIBS.exists():
        pytest.skip("the jars are not fetched where a cluster is named")
    with secure_broker(tmp_path_factory.mktemp("secured"), (*SERVICES, *_OUTSIDE)) as running:
        yield running


@pytest.fixture
def database_url(secure: SecureBroker) -> Iterator[str]:
    """A PostgreSQL that demands a certificate where the machine has one, SQLite otherwise."""
    programs = server_programs()
    with ExitStack() as running:
        if programs is None:
            yield ""
            return
        own = secure.identity("ringfold")
        own.key_file.chmod(0o600)
        url = running.enter_context(secure_postgres(programs, secure.ca))
        yield f"{url}?sslmode=verify-full&sslrootcert={secure.ca_file}&sslcert={own.cert_file}&sslkey={own.key_file}"


@asynccontextmanager
async def _running(secure: SecureBroker, database_url: str, data_dir: Path, **environment: str) -> AsyncIterator[Secured]:
    """Every service under its own name; what is not there yet is made by themselves."""
    settings = secure.settings(topic_prefix=f"s{uuid4().hex[:8]}-", data_dir=data_dir, database_url=database_url, log_level="DEBUG")
    settings = settings.model_copy(update={f"{name}_port": free_port() for name in (*SERVICES, "simulator")})
    secure.allow(acls(settings, producers=["User:crm"], readers=["User:bi"]))
    children = children_of(settings, **FAST, **_MISBEHAVING, **environment)
    for name in SERVICES:
        own = {"KAFKA_USERNAME": name, "KAFKA_PASSWORD": password_of(name)}
        children[name].environment = {**children[name].environment, **own}
    stack = RunningStack(settings, children)
    try:
        for child in children.values():
            child.start()
        for name in children:
            await stack.until_ready(name)
        yield Secured(secure, stack)
    finally:
        for child in children.values():
            child.kill()


def test_kafkas_own_tool_takes_each_kind_of_line_that_is_printed_and_allows_just_that(secure: SecureBroker) -> None:
    if not any(LIBS.glob("kafka-tools-[0-9]*.jar")):
        pytest.skip("the jars are of before: make setup")
    reached = ["--bootstrap-server", f"127.0.0.1:{secure.ports['SASL_SSL']}", "--command-config", str(secure.tool_properties())]
    allowed = sorted(acls(Settings(topic_prefix="blue-"), "User:CN=tool-{service}"), key=lambda acl: (acl.prefixed, len(acl.operations)))
    printed = list({acl.resource: acl for acl in allowed}.values())
    assert len(printed) == 3
    tool = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*", "org.apache.kafka.tools.AclCommand"]
    running = [subprocess.Popen([*tool, *reached, *acl.command()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for acl in printed]
    for line in running:
        said, _ = line.communicate(timeout=60)
        assert line.returncode == 0, said.decode()
    for principal in {acl.principal for acl in printed}:
        wanted = {binding for acl in printed if acl.principal == principal for binding in bindings_of(acl)}
        assert secure.in_force(principal) == wanted


@pytest.fixture
async def secured(secure: SecureBroker, database_url: str, tmp_path: Path) -> AsyncIterator[Secured]:
    async with _running(
        secure, database_url, tmp_path / "data", WEBHOOK_ALLOWED_PRIVATE_HOSTS="127.0.0.1", WEBHOOK_RETRY_SECONDS="2", **_SECRETS
    ) as running:
        yield running


async def _writes(settings: Settings, topic: Topic, value: bytes = b"{}") -> None:
    """Raises what Kafka says to a record in the topic."""
    producer = make_producer(settings, request_timeout_ms=1_500)
    try:
        await producer.start()
        partition = partition_of("acme", settings.topic_partitions)
        await producer.send_and_wait(settings.topic_name(topic), value, b"acme", partition)
    finally:
        await producer.stop()


async def _first(settings: Settings, topic: Topic, group_id: str | None = None) -> bytes:
    """A record of the topic; raises what Kafka says to who asks."""
    consumer = make_consumer(settings, group_id=group_id)
    await consumer.start()
    try:
        place = TopicPartition(settings.topic_name(topic), partition_of("acme", settings.topic_partitions))
        consumer.assign([place])
        consumer.seek(place, 0)
        async with asyncio.timeout(3):
            return bytes((await consumer.getone()).value)
    finally:
        await consumer.stop()


def _command(customers: list[dict[str, Any]], **fields: object) -> bytes:
    data = {"name": "Spring", "assistantId": "asst-1", "phoneNumberId": "pn-1", "customers": customers, **fields}
    envelope = {"specversion": "1.0", "id": str(uuid4()), "source": "/crm", "type": "CreateCampaign.v1", "orgid": "acme", "data": data}
    return json.dumps(envelope).encode()


async def test_each_service_works_under_its_own_name_and_nobody_writes_what_is_anothers(secured: Secured) -> None:
    crm, bi = secured.as_user("crm"), secured.as_user("bi")
    async with user_of(secured.stack) as user:
        created = await user.create(5)
        await user.until_ended(created["id"], 5)
        await _writes(crm, CAMPAIGN_COMMANDS, _command([{"number": "+14155550101"}]))

        async def ended() -> list[str]:
            listed = (await user.call("GET", "/campaign"))["results"]
            return [campaign["status"] for campaign in listed]

        await eventually(ended, lambda statuses: statuses == ["ended", "ended"], 60)
    for topic in (CAMPAIGN_EVENTS, CALL_COMMANDS, CAMPAIGN_COMMANDS_DEAD, CAMPAIGN_STATE):
        with pytest.raises(TopicAuthorizationFailedError):
            await _writes(crm, topic)
    with pytest.raises(TopicAuthorizationFailedError):
        await _first(crm, CAMPAIGN_COMMANDS)
    with pytest.raises(TimeoutError):  # who may not even know of a topic waits until it is there
        await _first(crm, CAMPAIGN_EVENTS)
    assert b"CampaignCreated" in await _first(bi, CAMPAIGN_EVENTS)
    for who in (bi, *(secured.as_user(service) for service in SERVICES if service != "engine")):
        with pytest.raises(KafkaError):
            await _writes(who, CAMPAIGN_EVENTS)


async def test_nothing_of_a_person_and_no_secret_is_in_any_log(secured: Secured, tmp_path: Path) -> None:
    person = {
        "name": f"Ada {_MARK}",
        "email": f"ada{_MARK}@example.com",
        "assistantOverrides": {"variableValues": {"note": f"owes {_MARK}"}},
    }
    people = [{"number": f"+1{_MARK}{n:02d}", **person} for n in range(20)]
    async with AsyncExitStack() as running:
        receiver = await running.enter_async_context(_moody_receiver())
        user = await running.enter_async_context(user_of(secured.stack))
        server = {"url": f"{receiver}/hooks/{_MARK}?token={_MARK}", "headers": {"X-Token": _MARK}, "timeoutSeconds": 1}
        told = {
            "server": server,
            "serverMessages": ["campaign.ended", "contact.completed", "contact.failed"],
            "predialPlan": {"enabled": True},
        }
        created = await user.call("POST", "/campaign", _body(people, **told), 201)
        inward = await user.call("POST", "/campaign", _body(people, **told | {"server": server | {"url": f"http://10.0.0.1/{_MARK}"}}), 201)
        await _ask_wrongly(user.http, secured.stack.api_url)
        for poison in (
            f'{{"{_MARK}'.encode(),
            _command([{"number": [_MARK]}]),
            _command([{"number": _MARK, "name": 7}]),
            b"\xff" + _MARK.encode(),
        ):
            await _writes(secured.as_user("crm"), CAMPAIGN_COMMANDS, poison)
        secured.stack.kill("simulator")
        await asyncio.sleep(1)
        await secured.stack.start("simulator")
        for campaign in (created, inward):
            await user.call("PATCH", f"/campaign/{campaign['id']}", {"name": f"Autumn {_MARK}"})
            await user.call("PATCH", f"/campaign/{campaign['id']}", {"status": "ended"})
        await asyncio.sleep(2)
        key = user.http.headers["Authorization"].removeprefix("Bearer ")
        secured.secure.broker.kill()
        await asyncio.sleep(1)
        secured.secure.broker.start()
        for name in SERVICES:
            await secured.stack.until_ready(name)
    for name in reversed(secured.stack.children):
        await secured.stack.stop(name)
    hidden = [_MARK, key, *(password_of(user) for user in (*SERVICES, *_OUTSIDE)), "/provider-callbacks/acme"]
    found = {}
    for log in secured.settings.data_dir.glob("logs/*"):
        text = log.read_text()
        assert text or log.stem == "simulator", f"{log.name} says nothing"
        found[log.name] = [line for line in text.splitlines() if any(secret in line for secret in hidden)][:3]
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert found.keys() >= {f"{name}.log" for name in SERVICES}


def _body(customers: list[dict[str, Any]], **fields: object) -> dict[str, object]:
    return {"name": f"Spring {_MARK}", "assistantId": "asst-1", "phoneNumberId": "pn-1", "customers": customers, **fields}


async def _ask_wrongly(http: aiohttp.ClientSession, url: str) -> None:
    """What is refused in many ways, each with something in it that must not be logged."""
    form = aiohttp.FormData()
    form.add_field("campaign", json.dumps({"name": _MARK}), content_type="application/json")
    form.add_field("customers", f"number,name\n{_MARK} no number,{_MARK}\n", content_type="text/csv", filename="contacts.csv")
    asked = [
        http.post(f"{url}/campaign", json=_body([{"number": f"not-{_MARK}"}])),
        http.post(f"{url}/campaign", data=f'{{"{_MARK}'.encode(), headers={"Content-Type": "application/json"}),
        http.post(f"{url}/campaign", data=form),
        http.get(f"{url}/campaign?status={_MARK}&id={_MARK}"),
        http.get(f"{url}/campaign/{_MARK}"),
        http.get(f"{url}/{_MARK}"),
        http.get(f"{url}/campaign", headers={"Authorization": f"Bearer rf_{_MARK}"}),
        http.post(f"{url}/campaign", json=_body([]), headers={"Idempotency-Key": f"{_MARK}\u00e9"}),
        http.post(f"{url}/provider-callbacks/acme/{_MARK}/{_MARK}/1/{_MARK}", json={"message": _MARK}),
    ]
    for request in asked:
        async with request as response:
            assert 400 <= response.status < 500 or response.url.query.get("id") == _MARK


@asynccontextmanager
async def _moody_receiver() -> AsyncIterator[str]:
    """A customer's server that agrees to calls, and takes every third webhook; its own words must not be logged either."""
    count = 0

    async def receive(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        if (await request.json())["message"]["type"] == "campaign.predial":
            return web.json_response({"eligible": True, "why": _MARK})
        return web.Response(status=200 if count % 3 == 0 else 500, text=_MARK, reason=f"no {_MARK}")

    app = web.Application()
    app.router.add_post("/hooks/{tail}", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
