"""Owns how Kafka clients are made, so that every reader reads committed records and every writer waits for all replicas."""

import math
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.partitioner import murmur2

from events.topics import MAX_EVENT_BYTES
from services.runtime.kafka_security import security_options
from services.runtime.settings import Settings

_TRANSACTION_TIMEOUT_MS = 10_000
_LONGEST_IDLE_MS = math.inf
"""aiokafka has a member leave that nobody polls for longer, and come back only when somebody polls, as nobody does who has no partition.

It counts that by itself: what the broker is told is `rebalance_timeout_ms`.
"""
_MOST_FETCHED_BYTES = 8 * 1024 * 1024
_MOST_RECORDS = 2_000
"""What is fetched is compressed fourfold and more, and a record becomes a kilobyte of objects: both bound what a backlog takes."""


def client_options(settings: Settings) -> dict[str, Any]:
    """What every Kafka client is given: where the cluster is and how to reach it."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": f"{settings.topic_prefix}ringfold",
        **security_options(settings),
    }


def make_consumer(settings: Settings, *topics: str, group_id: str | None = None, **overrides: Any) -> AIOKafkaConsumer:
    """A consumer that reads committed records only, never commits by itself and never skips: a missing offset is an error.

    Its group assigns co-partitioned topics alike, and keeps it however long nobody polls. Fetches wait at most 50 ms, which bounds
    how long a partition that was just drained stays out of the next fetch. However long a backlog, it holds one fetch of 8 MiB and
    gives 2,000 records at once.
    """
    options = client_options(settings) | {
        "group_id": group_id,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "fetch_max_wait_ms": 50,
        "fetch_max_bytes": _MOST_FETCHED_BYTES,
        "max_partition_fetch_bytes": MAX_EVENT_BYTES,
        "max_poll_records": _MOST_RECORDS,
        "session_timeout_ms": int(settings.kafka_session_seconds * 1_000),
        "heartbeat_interval_ms": int(settings.kafka_session_seconds * 100),
        "rebalance_timeout_ms": 20_000,
        "max_poll_interval_ms": _LONGEST_IDLE_MS,
    }
    return AIOKafkaConsumer(*topics, **(options | overrides))


def check_group(consumer: AIOKafkaConsumer) -> None:
    """Raise what keeps the consumer out of its group: aiokafka tells it to who polls, and tries nothing more until it is told."""
    consumer._coordinator.check_errors()


def make_producer(settings: Settings, *, transactional_id: str | None = None, **overrides: Any) -> AIOKafkaProducer:
    """An idempotent producer that waits for all replicas; with a transactional id it fences the id's former owner when it starts."""
    options = client_options(settings) | {
        "acks": "all",
        "compression_type": "lz4",
        "enable_idempotence": True,
        "max_request_size": MAX_EVENT_BYTES,
        "max_batch_size": MAX_EVENT_BYTES // 2,
        "request_timeout_ms": 20_000,
    }
    if transactional_id is not None:
        options |= {
            "transactional_id": settings.topic_prefix + transactional_id,
            "transaction_timeout_ms": _TRANSACTION_TIMEOUT_MS,
            "retry_backoff_ms": 5,
        }
    return AIOKafkaProducer(**(options | overrides))


def member_id(settings: Settings, group_id: str, port: int) -> str:
    """Names a process's place in its group (KIP-345): who is started again after a kill takes its partitions back at once.

    Whoever goes for good leaves them unread until the session is over, after a clean stop too: such a member says no goodbye.
    Two of one name throw each other out without end.
    """
    return f"{group_id}-{settings.member_name}-{port}"


def partition_of(org_id: str, partitions: int) -> int:
    """The partition that the org's records belong on: Kafka's murmur2 of the UTF-8 key, as Java's and aiokafka's default do it."""
    partition: int = (murmur2(org_id.encode()) & 0x7FFFFFFF) % partitions
    return partition
