"""The contract's "copy": V2's create with `duplicateFromCampaignId`."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.service import LATER, Service

SOURCE: dict[str, Any] = {
    "name": "Spring",
    "assistantId": "a-1",
    "phoneNumberId": "p-1",
    "schedulePlan": LATER,
    "maxConcurrency": 7,
    "assistantOverrides": {"variableValues": {"city": "London", "tone": "warm"}, "firstMessage": "Hi"},
    "server": {"url": "https://example.com/hook"},
    "serverMessages": ["campaign.ended"],
    "predialPlan": {"enabled": False},
}
CUSTOMER = {"number": "+14155550100"}
IDENTITY = ("id", "createdAt", "updatedAt", "calls")


async def copy(service: Service, source: Any, status: int = 201, **fields: Any) -> Any:
    body = {"name": "Summer", "duplicateFromCampaignId": source["id"]} | fields
    return await service.answer("POST", "/v2/campaign", body, status=status)


async def test_what_is_not_given_is_copied_the_customers_too(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    copied = await copy(service, source)
    assert copied["name"] == "Summer"
    assert copied["id"] != source["id"]
    assert {field: value for field, value in copied.items() if field not in (*IDENTITY, "name")} == {
        field: value for field, value in source.items() if field not in (*IDENTITY, "name")
    }
    assert copied["customers"] == source["customers"]
    assert not copied["calls"].keys() & source["calls"].keys()


async def test_given_fields_win_and_overrides_merge_key_by_key(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    overrides = {"variableValues": {"city": "Paris"}, "model": {"provider": "x"}}
    copied = await copy(service, source, maxConcurrency=3, assistantOverrides=overrides, squadOverrides={"a": 1})
    assert copied["maxConcurrency"] == 3
    assert copied["assistantOverrides"] == {
        "variableValues": {"city": "Paris", "tone": "warm"},
        "firstMessage": "Hi",
        "model": {"provider": "x"},
    }
    assert copied["squadOverrides"] == {"a": 1}


async def test_given_customers_replace_the_sources(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    copied = await copy(service, source, customers=[{"number": "+14155550999"}])
    assert copied["customers"] == [{"number": "+14155550999"}]


async def test_a_given_target_takes_the_place_of_the_sources(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    copied = await copy(service, source, squadId="s-1")
    assert (copied["squadId"], "assistantId" in copied) == ("s-1", False)
    both = await copy(service, source, status=400, squadId="s-1", assistantId="a-2")
    assert both["message"] == ["exactly one of assistantId, workflowId or squadId is required, 2 were given"]


async def test_more_customers_than_one_request_may_bring_are_copied_in_order(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE, customers=9_000)
    copied = await copy(service, source)
    assert copied["customers"] == source["customers"]
    assert copied["callsCounterScheduled"] == 9_000


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"assistantId": ..., "workflowId": "w-1"}, "workflowId"),
        (
            {"phoneNumberId": ..., "customers": ..., "dialPlan": [{"phoneNumberId": "p", "customers": [{"number": "+14155550100"}]}]},
            "dialPlan",
        ),
    ],
)
async def test_a_v1_source_is_a_clear_400(service: Service, fields: dict[str, Any], what: str) -> None:
    source = await service.create(**fields)
    answer = await copy(service, source, status=400)
    assert answer["message"] == [f"duplicateFromCampaignId must name a V2 campaign, this is a V1 campaign with a {what}"]


async def test_an_unknown_campaign_or_one_of_another_org_can_not_be_copied(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    await copy(service, {"id": "5f3b1d1a-0000-4000-8000-000000000000"}, status=404)
    await copy(service, {"id": "no id"}, status=404)
    body = {"name": "Summer", "duplicateFromCampaignId": source["id"]}
    await service.answer("POST", "/v2/campaign", body, status=404, headers=await service.key_of("org-2"))


async def test_a_schedule_that_is_over_must_be_given_anew(service: Service) -> None:
    plan = {"earliestAt": "2030-01-01T10:00:00Z", "latestAt": "2030-01-01T11:00:00Z"}
    source = await service.create(path="/v2/campaign", **(SOURCE | {"schedulePlan": plan}))
    service.log.world.after(hours=3)
    answer = await copy(service, source, status=400)
    assert answer["message"] == ["schedulePlan is required, since that of the campaign to copy ended at 2030-01-01T11:00:00.000Z"]
    assert (await copy(service, source, schedulePlan=LATER))["schedulePlan"]["earliestAt"].startswith("2030-01-02")


async def test_what_a_copy_may_not_hold_is_refused_by_name(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    answer = await copy(service, source, status=400, dialPlan=[{}], extra=1)
    assert answer["message"] == ["property dialPlan should not exist", "property extra should not exist"]


@pytest.mark.parametrize("customers", [None, [CUSTOMER]])
async def test_a_keyed_repeat_is_answered_the_same_when_the_source_is_gone_and_another_request_under_the_key_refused(
    service: Service, customers: Any
) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    body = {"name": "Summer", "duplicateFromCampaignId": source["id"], "customers": customers}
    key = {"Idempotency-Key": "k-1"}
    first = await service.answer("POST", "/v2/campaign", body, status=201, headers=key)
    await service.answer("DELETE", f"/campaign/{source['id']}")
    assert await service.answer("POST", "/v2/campaign", body, status=201, headers=key) == first
    await service.answer("POST", "/v2/campaign", body | {"name": "Autumn"}, status=400, headers=key)
    await service.answer("POST", "/v2/campaign", body, status=404)


async def test_a_repeat_is_answered_the_same_when_the_schedule_that_was_copied_is_over(service: Service) -> None:
    plan = {"earliestAt": "2030-01-01T09:00:01Z", "latestAt": "2030-01-01T10:00:00Z"}
    source = await service.create(path="/v2/campaign", **SOURCE | {"schedulePlan": plan})
    body = {"name": "Summer", "duplicateFromCampaignId": source["id"]}
    key = {"Idempotency-Key": "k-1"}
    first = await service.answer("POST", "/v2/campaign", body, status=201, headers=key)
    service.log.world.now += timedelta(hours=2)
    assert (await service.answer("POST", "/v2/campaign", body, status=201, headers=key))["id"] == first["id"]


async def test_a_repeat_is_answered_when_the_copy_was_given_a_dial_plan_meanwhile(service: Service) -> None:
    source = await service.create(path="/v2/campaign", **SOURCE)
    body = {"name": "Summer", "duplicateFromCampaignId": source["id"]}
    key = {"Idempotency-Key": "k-1"}
    first = await service.answer("POST", "/v2/campaign", body, status=201, headers=key)
    plan = [{"phoneNumberId": "p-2", "customers": [CUSTOMER]}]
    await service.answer("PATCH", f"/campaign/{first['id']}", {"dialPlan": plan})
    assert (await service.answer("POST", "/v2/campaign", body, status=201, headers=key))["id"] == first["id"]
