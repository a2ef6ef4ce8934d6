"""The README's table of who may do what on Kafka is what the printed commands allow."""

import re
import subprocess
import sys
from pathlib import Path

from infra.kafka.acls import SERVICES, acls
from services.runtime.settings import Settings

_READS, _WRITES = "READ", "WRITE"


def test_the_readme_tells_of_every_topic_group_and_transaction_that_a_service_may_use() -> None:
    section = Path("README.md").read_text().split("### Kafka and PostgreSQL that demand who you are")[1].split("\n### ")[0]
    told = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \|(.*)\|(.*)\|(.*)\|(.*)\|$", section, re.MULTILINE)}
    assert set(told) == set(SERVICES)
    allowed = acls(Settings())
    for service, (reads, writes, group, transactions) in told.items():
        own = [acl for acl in allowed if acl.principal == f"User:{service}"]
        for cell, resource, operation in ((reads, "topic", _READS), (group, "group", _READS), (transactions, "transactional-id", _WRITES)):
            names = {acl.name + "*" * acl.prefixed for acl in own if acl.resource == resource and operation in acl.operations}
            assert set(re.findall(r"`([\w*-]+)`", cell)) == names
        written = {acl.name for acl in own if acl.resource == "topic" and _WRITES in acl.operations}
        named = set(re.findall(r"`([\w*-]+)`", writes))
        assert named | ({"campaign-commands", "call-commands"} if "both commands" in writes else set()) == written


def test_names_carry_the_prefix_and_principals_are_named_as_asked() -> None:
    allowed = acls(Settings(topic_prefix="blue-"), "User:CN={service}", producers=["User:crm"], readers=["User:bi"])
    assert all(acl.name.startswith("blue-") for acl in allowed if acl.principal != "User:bi" or acl.resource == "topic")
    assert {acl.principal for acl in allowed} == {*(f"User:CN={service}" for service in SERVICES), "User:crm", "User:bi"}


def test_a_command_is_printed_for_each() -> None:
    command = [sys.executable, "-m", "infra.kafka.acls", "--producer", "User:crm"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(acls(Settings(), producers=["User:crm"]))
    assert lines[-1] == (
        "kafka-acls.sh --bootstrap-server 127.0.0.1:9092 --command-config admin.properties --add --allow-principal User:crm "
        "--operation Describe --operation Write --topic campaign-commands"
    )
