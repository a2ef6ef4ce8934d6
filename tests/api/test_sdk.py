"""The official Python SDK against the real processes: only the base URL and the key are changed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from vapi import AsyncVapi, CreateCustomerDto, DialPlanEntry, SchedulePlan
from vapi.core.api_error import ApiError

from services.runtime.settings import Settings
from tests.api.processes import api_processes, cut_after
from tests.support.eventually import eventually
from tests.support.stack import RunningStack

CUSTOMERS = [CreateCustomerDto(number="+14155550100", name="Ann"), CreateCustomerDto(number="+14155550101")]
LATER = SchedulePlan.model_validate({"earliestAt": "2035-01-01T00:00:00Z"})


@pytest.fixture
async def processes(settings: Settings) -> AsyncIterator[RunningStack]:
    async with api_processes(settings) as running:
        yield running


async def _client(processes: RunningStack, org: str, base_url: str | None = None) -> AsyncVapi:
    return AsyncVapi(base_url=base_url or processes.api_url, token=await processes.create_key(org))


def _spec(**fields: Any) -> dict[str, Any]:
    return {"name": "Spring", "assistant_id": "a-1", "phone_number_id": "p-1", "schedule_plan": LATER, "customers": CUSTOMERS} | fields


async def test_both_generations_by_the_sdk(processes: RunningStack) -> None:
    campaigns = (await _client(processes, "acme")).campaigns
    created = await campaigns.campaign_controller_create(**_spec())
    assert (created.status, created.calls_counter_scheduled, len(created.calls)) == ("scheduled", 2, 2)
    found = await campaigns.campaign_controller_find_one(created.id)
    assert found == created
    edited = await campaigns.campaign_controller_update(created.id, name="Summer")
    assert edited.name == "Summer"
    listed = await campaigns.campaign_controller_find_all(limit=10, page=1, created_at_ge=created.created_at)
    assert [campaign.id for campaign in listed.results] == [created.id]
    assert listed.metadata.total_items == 1
    stopped = await campaigns.campaign_controller_update(created.id, status="ended")
    assert (stopped.status, stopped.ended_reason) == ("ended", "campaign.scheduled.ended-by-user")
    removed = await campaigns.campaign_controller_remove(created.id)
    assert removed.status == "ended"
    with pytest.raises(ApiError) as gone:
        await campaigns.campaign_controller_find_one(created.id)
    assert gone.value.status_code == 404

    plan = [DialPlanEntry(phone_number_id="p-2", customers=CUSTOMERS)]
    by_plan = await campaigns.campaign_controller_create(**_spec(phone_number_id=None, customers=None, dial_plan=plan))
    assert by_plan.dial_plan == plan

    second = await campaigns.campaign_controller_create_v_2(**_spec())
    summary = await campaigns.campaign_controller_find_one_v_2(second.id, include_counters=True)
    assert summary.contact_counters is not None
    assert summary.contact_counters.pending == 2
    contacts = await campaigns.campaign_controller_get_campaign_v_2_contacts(
        second.id, status=["contact.pending", "contact.failed"], limit=1
    )
    assert (contacts.results[0].number, contacts.metadata.total_items) == ("+14155550100", 2)
    cancelled = await campaigns.campaign_controller_update_v_2(second.id, status="cancelled")
    assert cancelled.status == "cancelled"
    archived = await campaigns.campaign_controller_remove_v_2(second.id)
    assert archived.status == "archived"
    assert [c.id for c in (await campaigns.campaign_controller_find_all_v_2()).results] == [by_plan.id]
    assert [c.id for c in (await campaigns.campaign_controller_find_all_v_2(status="archived")).results] == [second.id]

    others = (await _client(processes, "other")).campaigns
    assert (await others.campaign_controller_find_all()).results == []
    for ask in (others.campaign_controller_find_one, others.campaign_controller_update, others.campaign_controller_remove):
        with pytest.raises(ApiError) as refused:
            await ask(by_plan.id)
        assert refused.value.status_code == 404

    with pytest.raises(ApiError) as invalid:
        await campaigns.campaign_controller_create(**_spec(assistant_id=None, customers=[CreateCustomerDto(number="12")]))
    assert invalid.value.status_code == 400
    assert invalid.value.body["error"] == "Bad Request"
    assert len(invalid.value.body["message"]) >= 1


async def test_a_large_campaign_is_read_as_soon_as_it_is_created(processes: RunningStack) -> None:
    campaigns = (await _client(processes, "acme")).campaigns
    customers = [CreateCustomerDto(number=f"+1415{number:07d}") for number in range(10_000)]
    created = await campaigns.campaign_controller_create(**_spec(customers=customers))
    assert (created.calls_counter_scheduled, len(created.calls), len(created.customers or [])) == (10_000, 10_000, 10_000)


async def test_the_sdks_own_repeat_after_a_dropped_connection_makes_no_second_campaign(processes: RunningStack) -> None:
    async with cut_after(processes.settings.api_port, 0.5) as url:
        campaigns = (await _client(processes, "acme", url)).campaigns
        processes.kill("engine")
        creating = asyncio.create_task(campaigns.campaign_controller_create(**_spec()))
        await asyncio.sleep(0.8)
        await processes.start("engine")
        created = await creating
        again = await campaigns.campaign_controller_create(**_spec())
        listed = await campaigns.campaign_controller_find_all()
        assert [campaign.id for campaign in listed.results] == [again.id, created.id]


async def test_a_creation_cut_short_by_kills_is_finished_by_its_repeat(processes: RunningStack) -> None:
    campaigns = (await _client(processes, "acme")).campaigns
    spec = _spec(customers=[CreateCustomerDto(number=f"+1415{number:07d}") for number in range(9_000)])
    processes.kill("engine")
    creating = asyncio.create_task(campaigns.campaign_controller_create(**spec, request_options={"max_retries": 0}))
    await asyncio.sleep(1.0)
    processes.kill("api")
    with pytest.raises(httpx.HTTPError):
        await creating
    await processes.start("engine")
    await processes.start("api")
    created = await campaigns.campaign_controller_create(**spec)
    assert created.calls_counter_scheduled == 9_000
    assert (await campaigns.campaign_controller_find_all()).metadata.total_items == 1


async def test_the_api_stops_cleanly_and_answers_what_it_holds(processes: RunningStack) -> None:
    campaigns = (await _client(processes, "acme")).campaigns
    engine, api = processes.children["engine"], processes.children["api"]
    async with aiohttp.ClientSession(processes.api_url) as http:

        async def metrics() -> str:
            async with http.get("/metrics") as response:
                return await response.text()

        engine.send(signal.SIGSTOP)
        creating = asyncio.create_task(campaigns.campaign_controller_create(**_spec(), request_options={"max_retries": 0}))
        await eventually(metrics, lambda text: "ringfold_api_writes_waiting 1.0" in text)
        api.send(signal.SIGTERM)
        engine.send(signal.SIGCONT)
        assert (await creating).status == "scheduled"
        assert await asyncio.wait_for(api.ended(), 20) == 0
