"""Campaigns from created to ended, over HTTP and by a command, on one stack."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import orjson
from aiokafka import TopicPartition
from confluent_kafka import Producer
from vapi import Vapi

from events.ids import campaign_id_of
from events.topics import CAMPAIGN_COMMANDS, CAMPAIGN_EVENTS, CAMPAIGN_STATE, Topic
from services.runtime.kafka import make_consumer, partition_of
from tests.end_to_end.user import User, campaign, customers, total, user_of
from tests.support.eventually import eventually
from tests.support.stack import RunningStack


async def test_a_campaign_over_http_runs_to_its_end_with_every_customer_dialed_once(user: User) -> None:
    created = await user.create(60, maxConcurrency=30)
    assert created["status"] in ("scheduled", "in-progress")
    assert [c["number"] for c in created["customers"]] == [c["number"] for c in customers(60)]
    ended = await user.until_ended(created["id"], 60)
    assert ended["endedReason"] == "campaign.ended.success"
    assert await user.posts(ended) == {1: 60}


async def test_the_official_python_sdk_creates_lists_gets_updates_deletes_and_watches_a_campaign_end(shared_stack: RunningStack) -> None:
    key = await shared_stack.create_key("acme")

    def use() -> None:
        client = Vapi(token=key, base_url=shared_stack.api_url)
        created = client.campaigns.campaign_controller_create(
            name="By SDK", assistant_id="asst-1", phone_number_id="pn-1", customers=[{"number": "+14155550001"}]
        )
        deadline = time.monotonic() + 60
        while (seen := client.campaigns.campaign_controller_find_one(created.id)).status != "ended":
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
        assert seen.ended_reason == "campaign.ended.success"
        assert client.campaigns.campaign_controller_update(created.id, name="Renamed").name == "Renamed"
        assert [c.id for c in client.campaigns.campaign_controller_find_all().results] == [created.id]
        assert client.campaigns.campaign_controller_remove(created.id).id == created.id
        assert client.campaigns.campaign_controller_find_all().results == []

    await asyncio.to_thread(use)


async def test_a_dial_plan_calls_each_customer_from_its_own_number(user: User) -> None:
    plan = [
        {"phoneNumberId": "pn-a", "customers": customers(3)},
        {"phoneNumberId": "pn-b", "customers": customers(2, first=100)},
    ]
    created = await user.call("POST", "/campaign", {"name": "Plan", "squadId": "sq-1", "dialPlan": plan}, 201)
    ended = await user.until_ended(created["id"], 5)
    assert ended["dialPlan"] == plan
    assert "customers" not in ended


async def test_two_campaigns_of_one_org_share_its_limit(shared_stack: RunningStack) -> None:
    async with user_of(shared_stack, "limited") as user:
        created = [await user.create(20, maxConcurrency=5) for _ in range(2)]
        for campaign in created:
            ended = await user.until_ended(campaign["id"], 20)
            assert await user.posts(ended) == {1: 20}
        assert (await user.provider())["concurrentByOrg"]["limited"]["max"] <= 5


async def test_stopping_lets_calls_under_way_finish_and_drops_the_rest(user: User) -> None:
    created = await user.create(200, maxConcurrency=5)
    await eventually(lambda: user.get(created["id"]), lambda answer: answer["callsCounterInProgress"] > 0)
    stopped = await user.call("PATCH", f"/campaign/{created['id']}", {"status": "ended"})
    assert (stopped["status"], stopped["endedReason"]) == ("ended", "campaign.in-progress.ended-by-user")
    ended = await user.until_ended(created["id"], 200)
    dropped = sum(call.get("endedReason") == "scheduled-call-deleted" for call in ended["calls"].values())
    assert await user.posts(ended) == {0: dropped, 1: 200 - dropped}


async def test_stopping_and_deleting_a_large_campaign_is_answered_when_its_calls_have_ended(user: User) -> None:
    for method, path, body in (
        ("PATCH", "/campaign", {"status": "ended"}),
        ("DELETE", "/campaign", None),
        ("DELETE", "/v2/campaign", None),
    ):
        created = await user.create(6_000, schedulePlan={"earliestAt": "2090-01-01T00:00:00Z"})
        stopped = await user.call(method, f"{path}/{created['id']}", body)
        assert (stopped["callsCounterScheduled"], stopped["callsCounterEnded"]) == (0, 6_000)
        assert {call["endedReason"] for call in stopped["calls"].values()} == {"scheduled-call-deleted"}


async def test_ten_thousand_customers_are_created_readable_and_called(user: User) -> None:
    started = time.monotonic()
    created = await user.create(10_000, maxConcurrency=200)
    answer = await user.get(created["id"])
    assert total(answer) == len(answer["calls"]) == len(answer["customers"]) == 10_000
    print(f"10,000 customers readable after {time.monotonic() - started:.1f} s")  # noqa: T201 - what a person wants to see
    ended = await user.until_ended(created["id"], 10_000, 150)
    assert await user.posts(ended) == {1: 10_000}


async def read_all(stack: RunningStack, topic: Topic) -> list[tuple[bytes | None, dict[str, Any] | None]]:
    """Everything on the topic: key and decoded value."""
    consumer = make_consumer(stack.settings)
    await consumer.start()
    try:
        tps = [TopicPartition(stack.settings.topic_name(topic), p) for p in range(stack.settings.topic_partitions)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        found: list[tuple[bytes | None, dict[str, Any] | None]] = []
        for tp in tps:
            consumer.seek(tp, 0)
            while await consumer.position(tp) < ends[tp]:
                for record in (await consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                    found.append((record.key, orjson.loads(record.value) if record.value else None))  # noqa: PERF401 - awaits between
        return found
    finally:
        await consumer.stop()


async def test_a_command_by_topic_runs_to_its_end_whatever_partition_librdkafka_gives_it(shared_stack: RunningStack, user: User) -> None:
    producer = Producer({"bootstrap.servers": shared_stack.settings.kafka_bootstrap_servers})
    ids = {f"org-{n}": str(uuid4()) for n in range(4)}
    for org, command_id in ids.items():
        command = {
            "specversion": "1.0", "id": command_id, "source": "/crm", "type": "CreateCampaign.v1", "orgid": org, "data": campaign(2),
        }  # fmt: skip
        producer.produce(shared_stack.settings.topic_name(CAMPAIGN_COMMANDS), orjson.dumps(command), key=org)
    assert producer.flush(10) == 0
    for org, command_id in ids.items():
        async with user_of(shared_stack, org) as of_org:
            await of_org.until_ended(campaign_id_of(org, command_id), 2)
    events = await read_all(shared_stack, CAMPAIGN_EVENTS)
    for org, command_id in ids.items():
        caused = [event["type"] for _, event in events if event and event.get("causationid") == command_id]
        assert caused == ["CampaignCreated.v1", "CallScheduled.v1", "CallScheduled.v1", "ContactsCompleted.v1"]
        keys = {key for key, event in events if event and event["orgid"] == org}
        assert keys == {org.encode()}
    assert {partition_of(org, shared_stack.settings.topic_partitions) for org in ids} == {0, 1}

    async def summaries() -> dict[str, Any]:
        return {key.decode(): value for key, value in await read_all(shared_stack, CAMPAIGN_STATE) if key and value}

    wanted = {campaign_id_of(org, command_id) for org, command_id in ids.items()}
    await eventually(summaries, lambda found: all(found.get(id, {}).get("status") == "ended" for id in wanted))


async def test_another_orgs_campaign_is_not_found(shared_stack: RunningStack, user: User) -> None:
    created = await user.create(1, schedulePlan={"earliestAt": "2090-01-01T00:00:00Z"})
    async with user_of(shared_stack, "other") as other:
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
            answer = await other.call(method, f"/campaign/{created['id']}", body, 404)
            assert answer["statusCode"] == 404
    assert (await user.get(created["id"]))["name"] == "Spring"
