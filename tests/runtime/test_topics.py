"""Topics on a real broker: created once with their configuration, every difference reported, groups placed at the start."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition

from events.topics import ALL, CALL_COMMANDS, CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, Topic
from services.runtime.errors import StartupError
from services.runtime.kafka import client_options, make_consumer, make_producer, partition_of
from services.runtime.settings import Settings
from services.runtime.topics_admin import ensure_topics, topic_config


async def _create(settings: Settings, *topics: NewTopic) -> None:
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    await admin.create_topics(list(topics))
    await admin.close()


async def _committed(settings: Settings, group: str, place: TopicPartition) -> int | None:
    consumer = make_consumer(settings, group_id=settings.group_id(group))
    await consumer.start()
    consumer.assign([place])
    offset: int | None = await consumer.committed(place)
    await consumer.stop()
    return offset


async def _delete_records(settings: Settings, place: TopicPartition, before: int) -> None:
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=before)})
    await admin.close()


async def test_topics_are_made_once_however_many_ask_at_once(settings: Settings) -> None:
    await asyncio.gather(*(ensure_topics(settings) for _ in range(3)))
    await ensure_topics(settings)
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    described = await admin.describe_topics([settings.topic_name(topic) for topic in ALL])
    await admin.close()
    assert [len(topic["partitions"]) for topic in described] == [settings.topic_partitions] * len(ALL)


async def test_the_engine_and_the_dialer_begin_where_the_log_begins(settings: Settings) -> None:
    await ensure_topics(settings)
    assert await _committed(settings, "engine", TopicPartition(settings.topic_name(CAMPAIGN_COMMANDS), 1)) == 0
    assert await _committed(settings, "engine", TopicPartition(settings.topic_name(CALL_COMMANDS), 0)) == 0
    assert await _committed(settings, "dialer", TopicPartition(settings.topic_name(CAMPAIGN_EVENTS), 0)) == 0


async def test_a_group_that_has_moved_on_stays_where_it_is(settings: Settings) -> None:
    await ensure_topics(settings)
    place = TopicPartition(settings.topic_name(CAMPAIGN_EVENTS), 0)
    consumer = make_consumer(settings, group_id=settings.group_id("dialer"))
    await consumer.start()
    consumer.assign([place])
    await consumer.commit({place: 7})
    await consumer.stop()
    await ensure_topics(settings)
    assert await _committed(settings, "dialer", place) == 7


async def test_a_record_written_before_the_groups_were_placed_is_not_skipped(settings: Settings) -> None:
    await _create(
        settings, *(NewTopic(settings.topic_name(t), settings.topic_partitions, 1, topic_configs=topic_config(t, 1)) for t in ALL)
    )
    async with make_producer(settings) as producer:
        await producer.send_and_wait(settings.topic_name(CAMPAIGN_COMMANDS), b"early", partition=0)
    await ensure_topics(settings)
    assert await _committed(settings, "engine", TopicPartition(settings.topic_name(CAMPAIGN_COMMANDS), 0)) == 0


async def test_a_group_without_a_place_on_a_log_whose_beginning_is_gone_needs_a_choice(settings: Settings) -> None:
    await _create(
        settings, *(NewTopic(settings.topic_name(t), settings.topic_partitions, 1, topic_configs=topic_config(t, 1)) for t in ALL)
    )
    place = TopicPartition(settings.topic_name(CAMPAIGN_COMMANDS), 0)
    async with make_producer(settings) as producer:
        for _ in range(3):
            await producer.send_and_wait(place.topic, b"x", partition=0)
    await _delete_records(settings, place, 2)
    with pytest.raises(StartupError, match="START_FROM"):
        await ensure_topics(settings)
    assert await _committed(settings, "engine", place) is None
    await ensure_topics(settings.model_copy(update={"start_from": "earliest"}))
    assert await _committed(settings, "engine", place) == 2


async def test_another_number_of_partitions_is_an_error_that_says_both(settings: Settings) -> None:
    await ensure_topics(settings)
    with pytest.raises(StartupError, match="has 2 partitions, TOPIC_PARTITIONS says 3: set it to 2 only if the topic was made so"):
        await ensure_topics(settings.model_copy(update={"topic_partitions": 3}))


async def test_more_replicas_than_topics_have_are_asked_for_before_anything_that_counts_on_them(settings: Settings) -> None:
    await ensure_topics(settings)
    with pytest.raises(StartupError, match=f"{settings.topic_name(CAMPAIGN_EVENTS)} has 1.*reassign.*to 3 replicas.*only then set min"):
        await ensure_topics(settings.model_copy(update={"topic_replication_factor": 3}))
    with pytest.raises(StartupError, match=r"to 2 replicas with kafka-reassign-partitions$"):
        await ensure_topics(settings.model_copy(update={"topic_replication_factor": 2}))


async def test_another_configuration_is_an_error_that_says_both(settings: Settings) -> None:
    name = settings.topic_name(CAMPAIGN_EVENTS)
    wrong = topic_config(CAMPAIGN_EVENTS, 1) | {"retention.ms": "1000"}
    await _create(settings, NewTopic(name, settings.topic_partitions, 1, topic_configs=wrong))
    with pytest.raises(StartupError, match=f"{name} has retention.ms=1000, wanted -1"):
        await ensure_topics(settings)


@pytest.mark.parametrize("topic", [CAMPAIGN_EVENTS, CAMPAIGN_COMMANDS])
async def test_a_topic_that_is_cut_by_its_size_is_an_error(settings: Settings, topic: Topic) -> None:
    name = settings.topic_name(topic)
    wrong = topic_config(topic, 1) | {"retention.bytes": "1000000"}
    await _create(settings, NewTopic(name, settings.topic_partitions, 1, topic_configs=wrong))
    with pytest.raises(StartupError, match=f"{name} has retention.bytes=1000000, wanted -1"):
        await ensure_topics(settings)


async def test_a_topic_that_says_nothing_of_its_size_is_taken_where_the_broker_cuts_none(settings: Settings) -> None:
    older = {key: value for key, value in topic_config(CAMPAIGN_EVENTS, 1).items() if key != "retention.bytes"}
    await _create(settings, NewTopic(settings.topic_name(CAMPAIGN_EVENTS), settings.topic_partitions, 1, topic_configs=older))
    await ensure_topics(settings)


def test_nothing_that_is_kept_for_a_time_is_cut_by_its_size() -> None:
    assert {topic_config(topic, 1).get("retention.bytes") for topic in ALL if not topic.compacted} == {"-1"}


async def test_commands_on_an_older_releases_topic_do_not_keep_a_service_from_starting_and_a_warning_tells(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    name = settings.topic_name(CAMPAIGN_COMMANDS)
    older = {key: value for key, value in topic_config(CAMPAIGN_COMMANDS, 1).items() if key not in ("segment.ms", "message.timestamp.type")}
    await _create(settings, NewTopic(name, settings.topic_partitions, 1, topic_configs=older))
    await ensure_topics(settings)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING" and name in record.getMessage()]
    assert sorted(text.split("has ")[1].split("=")[0] for text in told) == ["message.timestamp.type", "segment.ms"]


async def test_a_commands_age_is_counted_by_the_brokers_clock(settings: Settings) -> None:
    await ensure_topics(settings)
    async with make_producer(settings) as producer:
        written = await producer.send_and_wait(settings.topic_name(CAMPAIGN_COMMANDS), b"x", partition=0, timestamp_ms=1)
    assert written.timestamp > 1_700_000_000_000


async def test_no_cluster_is_one_line_that_says_what_to_do(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(StartupError, match=r"no Kafka answers at 127\.0\.0\.1:1"):
        await ensure_topics(nowhere)


def test_three_replicas_need_two_in_sync() -> None:
    assert topic_config(CAMPAIGN_EVENTS, 3)["min.insync.replicas"] == "2"
    assert "min.insync.replicas" not in topic_config(CAMPAIGN_EVENTS, 1)


async def test_an_orgs_partition_is_the_one_that_a_producer_picks(settings: Settings) -> None:
    await ensure_topics(settings)
    async with make_producer(settings) as producer:
        for org in ("acme", "demo", "ünïcode"):
            sent = await producer.send_and_wait(settings.topic_name(CAMPAIGN_EVENTS), b"{}", key=org.encode())
            assert sent.partition == partition_of(org, settings.topic_partitions)
