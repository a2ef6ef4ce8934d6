"""Owns who may do what on Kafka: the ACLs of each service and of those outside, printed by `python -m infra.kafka.acls`."""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from events.topics import ALL, CAMPAIGN_EVENTS, CAMPAIGN_STATE, OUTSIDE, WEBHOOK_STATE, Topic
from services.runtime.settings import Settings
from services.runtime.topics_admin import GROUPS

SERVICES = ("engine", "projector", "dialer", "notifier", "api")
_READS_BESIDE = {
    "engine": (CAMPAIGN_EVENTS,),
    "projector": (CAMPAIGN_EVENTS,),
    "notifier": (WEBHOOK_STATE,),
    "api": (CAMPAIGN_EVENTS, WEBHOOK_STATE),
}
"""What is read from places that are not the group's: the projector's stand in the read model, the others begin where they are told."""
_JOINS = {"engine": ("engine",), "dialer": ("dialer",), "notifier": ("notifier", "notifier-commands"), "projector": ("projector",)}
_TRANSACTIONS = {"engine": "engine-", "projector": "campaign-state-", "notifier": "webhook-state-"}
"""What the transactional ids of a service begin with."""


@dataclass(frozen=True, slots=True)
class Acl:
    """`principal` may do `operations` on a `topic`, `group` or `transactional-id`; names of `prefixed` ones only begin so."""

    principal: str
    resource: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False

    def command(self) -> list[str]:
        """The arguments of Kafka's own tool that allow it."""
        operations = [part for operation in self.operations for part in ("--operation", _named_by_the_tool(operation))]
        pattern = ["--resource-pattern-type", "prefixed"] if self.prefixed else []
        return ["--add", "--allow-principal", self.principal, *operations, f"--{self.resource}", self.name, *pattern]


def _named_by_the_tool(operation: str) -> str:
    """It takes `DescribeConfigs`, and takes `DESCRIBE_CONFIGS` for none."""
    return operation.title().replace("_", "")


def acls(settings: Settings, principal: str = "User:{service}", producers: Sequence[str] = (), readers: Sequence[str] = ()) -> list[Acl]:
    """All that is allowed, and nothing more; `principal` says how a service's name becomes one.

    `producers` are principals who may write what any producer outside may, `readers` those who may read facts and states, in
    groups that begin with their own name.
    """
    found = [acl for service in SERVICES for acl in _of_service(settings, service, principal.format(service=service))]
    for outside in producers:
        topics = [topic for topic in ALL if OUTSIDE in topic.writers]
        found += [Acl(outside, "topic", settings.topic_name(topic), ("DESCRIBE", "WRITE")) for topic in topics]
    for outside in readers:
        found += [Acl(outside, "topic", settings.topic_name(topic), ("DESCRIBE", "READ")) for topic in (CAMPAIGN_EVENTS, CAMPAIGN_STATE)]
        found.append(Acl(outside, "group", outside.rpartition(":")[2], ("READ",), prefixed=True))
    return found


def _of_service(settings: Settings, service: str, principal: str) -> Iterator[Acl]:
    joins = _JOINS.get(service, ())
    reads = {*(topic for group in joins for topic in GROUPS.get(group, ())), *_READS_BESIDE.get(service, ())}
    for topic in ALL:
        yield Acl(principal, "topic", settings.topic_name(topic), _on_topic(topic, service, topic in reads))
    for group in joins:
        yield Acl(principal, "group", settings.group_id(group), ("READ",))
    if service in _TRANSACTIONS:
        yield Acl(principal, "transactional-id", settings.topic_prefix + _TRANSACTIONS[service], ("DESCRIBE", "WRITE"), prefixed=True)


def _on_topic(topic: Topic, service: str, reads: bool) -> tuple[str, ...]:
    """Every service makes the topics that are missing when it starts, and checks the others."""
    own = (("READ",) if reads else ()) + (("WRITE",) if service in topic.writers else ())
    return ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", *own)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.kafka.acls", description="Prints the commands that allow what is needed.")
    parser.add_argument("--principal", default="User:{service}", help="how a service's principal is named (%(default)s)")
    parser.add_argument("--producer", action="append", default=[], metavar="PRINCIPAL", help="may write commands, such as User:crm")
    parser.add_argument("--reader", action="append", default=[], metavar="PRINCIPAL", help="may read facts and states")
    parser.add_argument("--config", default="admin.properties", help="Kafka's file of how to reach it as who may allow (%(default)s)")
    asked, settings = parser.parse_args(), Settings.load()
    reached = ["kafka-acls.sh", "--bootstrap-server", settings.kafka_bootstrap_servers, "--command-config", asked.config]
    for acl in acls(settings, asked.principal, asked.producer, asked.reader):
        print(shlex.join([*reached, *acl.command()]))


if __name__ == "__main__":
    main()
