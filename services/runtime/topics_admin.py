"""Owns the topics' existence: created idempotently with their configuration, and every difference reported."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import TopicPartition

from events.topics import ALL, CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, WEBHOOK_COMMANDS, Topic
from services.runtime.errors import StartupError
from services.runtime.kafka import client_options, make_consumer
from services.runtime.settings import Settings

_VISIBLE_SECONDS = 30.0
_ADVISED = ("segment.ms", "message.timestamp.type")
"""What an existing topic may have otherwise: it then works, and its records may stay longer than is hoped."""

_log = logging.getLogger(__name__)

GROUPS: dict[str, tuple[Topic, ...]] = {
    "engine": (CAMPAIGN_COMMANDS, CALL_COMMANDS),
    "dialer": (CAMPAIGN_EVENTS,),
    "notifier": (CAMPAIGN_EVENTS,),
    "notifier-commands": (WEBHOOK_COMMANDS,),
}
"""The consumer groups whose place is kept in Kafka, and what they read."""


def topic_config(topic: Topic, replication_factor: int) -> dict[str, str]:
    """The topic's configuration by Kafka's names."""
    config = {
        "retention.ms": str(-1 if topic.retention_ms is None else topic.retention_ms),
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "max.message.bytes": str(topic.max_message_bytes),
    }
    if not topic.compacted:
        # a broker's own default would remove what was not read yet, and facts
        config["retention.bytes"] = "-1"
    if topic.segment_ms is not None:
        config |= {"segment.ms": str(topic.segment_ms), "message.timestamp.type": "LogAppendTime"}
    if replication_factor >= 3:
        config["min.insync.replicas"] = "2"
    return config


async def ensure_topics(settings: Settings, groups: Iterable[str] = GROUPS) -> None:
    """Create what is missing; raises `StartupError` where an existing topic has other partitions or configuration, or no cluster answers.

    Of other segments or timestamps than are advised, as topics of an older release have them, a warning tells.

    A group of `groups` that has no place yet is put at offset 0 of a topic whose log still begins there: every record that was ever
    written then comes to it. Where the log's beginning is gone, START_FROM must say where to go on, or it is an error.
    Safe to run by several processes at once.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
    except (KafkaConnectionError, OSError) as error:
        raise StartupError(
            f"no Kafka answers at {settings.kafka_bootstrap_servers} to KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} "
            "and what belongs to it: start one, or set KAFKA_BOOTSTRAP_SERVERS"
        ) from error
    try:
        await _create(admin, settings)
        await _check_partitions(admin, settings)
        await _check_config(admin, settings)
        for service in groups:
            await _place_group(settings, service, GROUPS[service])
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    existing = set(await admin.list_topics())
    missing = [topic for topic in ALL if settings.topic_name(topic) not in existing]
    if not missing:
        return
    new = [
        NewTopic(
            settings.topic_name(topic),
            settings.topic_partitions,
            settings.topic_replication_factor,
            topic_configs=topic_config(topic, settings.topic_replication_factor),
        )
        for topic in missing
    ]
    try:
        answer = await admin.create_topics(new)
    except TopicAlreadyExistsError:
        return
    for name, code, *message in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise StartupError(f"topic {name} can not be created: {message[0] if message and message[0] else for_code(code).__name__}")


async def _check_partitions(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    names = [settings.topic_name(topic) for topic in ALL]
    deadline = asyncio.get_running_loop().time() + _VISIBLE_SECONDS
    while True:
        found = {t["topic"]: t for t in await admin.describe_topics(names)}
        leading = [n for n in names if _has_leaders(found.get(n), settings.topic_partitions)]
        if len(leading) == len(names):
            _check_replicas(found, settings.topic_replication_factor)
            return
        for name in names:
            count = len(found.get(name, {}).get("partitions", ()))
            if count and count != settings.topic_partitions and not found[name]["error_code"]:
                raise StartupError(
                    f"topic {name} has {count} partitions, TOPIC_PARTITIONS says {settings.topic_partitions}: set it to {count} "
                    "only if the topic was made so; enlarged topics can not be used, since their orgs are on another partition then"
                )
        if asyncio.get_running_loop().time() > deadline:
            raise StartupError(f"topics without a leader: {', '.join(sorted(set(names) - set(leading)))}")
        await asyncio.sleep(0.05)


def _check_replicas(found: Mapping[str, Any], wanted: int) -> None:
    """Before the configuration is looked at: two replicas in sync, demanded of a topic that has one, would stop all writes."""
    fewest = {name: min(len(partition["replicas"]) for partition in topic["partitions"]) for name, topic in found.items()}
    few = [f"{name} has {count}" for name, count in sorted(fewest.items()) if count < wanted]
    if few:
        then = ", and only then set min.insync.replicas=2 with kafka-configs" if wanted >= 3 else ""
        raise StartupError(
            f"TOPIC_REPLICATION_FACTOR={wanted}, but by their replicas {', '.join(few)}: "
            f"reassign their partitions to {wanted} replicas with kafka-reassign-partitions{then}"
        )


def _has_leaders(found: "dict[str, object] | None", partitions: int) -> bool:
    if not found or found["error_code"]:
        return False
    listed = found["partitions"]
    return isinstance(listed, list) and len(listed) == partitions and all(p["leader"] >= 0 for p in listed)


async def _check_config(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    wanted = {settings.topic_name(topic): topic_config(topic, settings.topic_replication_factor) for topic in ALL}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted])
    wrong = []
    for answer in answers:
        for _code, _message, _kind, name, entries in answer.resources:
            actual = {entry[0]: entry[1] for entry in entries}
            for key, value in wanted[name].items():
                if actual.get(key) == value:
                    continue
                difference = f"topic {name} has {key}={actual.get(key)}, wanted {value}"
                if key in _ADVISED:
                    _log.warning("%s: change it with kafka-configs", difference, extra={"action": "check-topics", "topic": name})
                else:
                    wrong.append(difference)
    if wrong:
        raise StartupError("; ".join(wrong) + ": change it with kafka-configs, or use another TOPIC_PREFIX")


async def _place_group(settings: Settings, service: str, topics: Iterable[Topic]) -> None:
    group_id = settings.group_id(service)
    wanted = [TopicPartition(settings.topic_name(t), p) for t in topics for p in range(settings.topic_partitions)]
    consumer = make_consumer(settings, group_id=group_id)
    await consumer.start()
    try:
        consumer.assign(wanted)
        missing = [tp for tp in wanted if await consumer.committed(tp) is None]
        if not missing:
            return
        beginnings = await consumer.beginning_offsets(missing)
        gone = [tp for tp in missing if beginnings[tp] > 0]
        if gone and settings.start_from is None:
            raise StartupError(
                f"group {group_id} has no place on {gone[0].topic}/{gone[0].partition}, whose log begins at {beginnings[gone[0]]}: "
                "records may be lost, so say with START_FROM=earliest or START_FROM=latest where it shall go on"
            )
        places = dict.fromkeys(missing, 0)
        if gone:
            places |= await consumer.end_offsets(gone) if settings.start_from == "latest" else {tp: beginnings[tp] for tp in gone}
        try:
            await consumer.commit(places)
        except KafkaError as error:
            if [tp for tp in missing if await consumer.committed(tp) is None]:
                raise StartupError(f"group {group_id} can not be placed: {error}") from error
    finally:
        await consumer.stop()
